"""Check the `server` section."""

from collections.abc import Iterator
from datetime import timedelta

from signer.credentials.fetch_pacer import ACCOUNT_CALLS_PER_SECOND
from signer.definitions import model
from signer.definitions.mistakes import Violation
from signer.definitions.quantities import format_duration, format_rate
from signer.listen_address import ListenAddress


def check_server(server: model.Server) -> Iterator[Violation]:
    """Yield what is wrong with the `server` section."""
    if server.health is not None and not server.health.endswith(":0"):
        for key, address in (("listen", server.listen), ("admin", server.admin)):
            if server.health == address:
                yield Violation(("health",), f"{address} is also the address of {key}; write another one")
    if server.listen == server.admin and not server.listen.endswith(":0"):
        yield Violation(("admin",), f"{server.admin} is also the address of listen; write another one")
    elif server.admin_token is None and not ListenAddress.parse(server.admin).is_local:
        yield Violation(
            ("admin",),
            f"other machines can reach {server.admin} without a token; write 127.0.0.1:9180 or "
            "unix:/run/oss-signer/admin.sock, or set server.admin_token",
        )
    if not timedelta(seconds=1) <= server.callback_timeout <= timedelta(minutes=1):
        message = f"{format_duration(server.callback_timeout)} is out of range; write 1s to 1m"
        yield Violation(("callback_timeout",), message)
    fetches, seconds = server.credential_fetch_rate
    if fetches > ACCOUNT_CALLS_PER_SECOND * seconds:
        rate, max_rate = format_rate(server.credential_fetch_rate), f"{ACCOUNT_CALLS_PER_SECOND}/s"
        message = f"{rate} is more than STS allows an account; write at most {max_rate}"
        yield Violation(("credential_fetch_rate",), message)
    elif "temporary_credential_rate" in server.model_fields_set:
        temporary, temporary_seconds = server.temporary_credential_rate
        if fetches / seconds + temporary / temporary_seconds > ACCOUNT_CALLS_PER_SECOND:
            message = (
                f"{format_rate(server.temporary_credential_rate)} and credential_fetch_rate "
                f"({format_rate(server.credential_fetch_rate)}) are together more than STS allows an account, "
                f"{ACCOUNT_CALLS_PER_SECOND}/s; lower one"
            )
            yield Violation(("temporary_credential_rate",), message)
