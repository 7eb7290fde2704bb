"""How many tokens the signers of a machine have to fetch a second, so that each is refreshed in time."""

from collections.abc import Iterator

from signer.credentials.fetch_pacer import ACCOUNT_CALLS_PER_SECOND
from signer.credentials.refresh_windows import RefreshWindows
from signer.definitions.credential_model import StsRole
from signer.definitions.merge import Document
from signer.definitions.mistakes import Violation
from signer.definitions.quantities import format_count, format_rate
from signer.definitions.registry import Registry


def implied_fetches_per_second(registry: Registry) -> float:
    """Return the mean rate of one signer, by the `duration` of the roles and the `expires` of their apps."""
    return sum(
        1 / RefreshWindows(expires, entry.min_remaining).mean_seconds_until_refresh(entry.duration)
        for name, expires in registry.longest_expires().items()
        if isinstance(entry := registry.roles[name].entry, StsRole)
    )


def check_fetch_rate(registry: Registry, document: Document, workers: int) -> Iterator[Violation]:
    """Warn if the signers of a machine may fetch fewer tokens than they need."""
    needed = implied_fetches_per_second(registry) * workers
    fetches, seconds = registry.server.credential_fetch_rate
    if needed <= fetches / seconds:
        return
    path = ("server", "credential_fetch_rate")
    roles, signers = format_count(len(registry.longest_expires()), "role"), format_count(workers, "signer")
    rate = f"{needed:.1f} fetches a second" if needed >= 1 else f"{needed * 3600:.0f} fetches an hour"
    yield Violation(
        path if document.has(path) else ("credentials",),
        f"the tokens of {roles} on {signers} need {rate}, and {'.'.join(path)} allows "
        f"{format_rate(registry.server.credential_fetch_rate)}, so tokens of rarely used roles expire; raise duration, "
        f"or the rate: STS allows an account {ACCOUNT_CALLS_PER_SECOND}/s",
        at_key=not document.has(path),
    )
