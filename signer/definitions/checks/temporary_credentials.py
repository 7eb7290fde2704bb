"""Check the temporary credentials of an app: a caller must not reach the objects of another one.

See: https://help.aliyun.com/zh/ram/user-guide/policy-elements
"""

from collections.abc import Iterator

from signer.definitions import caller_model, credential_model, model
from signer.definitions.checks.credentials import MAX_TOKEN_LIFETIME, MIN_TOKEN_LIFETIME, Entries
from signer.definitions.mistakes import Violation
from signer.definitions.quantities import format_duration
from signer.definitions.redaction import quote
from signer.definitions.roles import caller_access, fixed_prefix
from signer.definitions.temporary_credentials_model import TemporaryCredentials
from signer.signing.object_key import MAX_CALLER_CHARACTERS
from signer.signing.session_policy import MAX_SESSION_POLICY_CHARACTERS
from signer.signing.upload_rules import MAX_EXPIRES

_PATH = ("temporary_credentials",)
_LONGEST_CALLER = "x" * MAX_CALLER_CHARACTERS


def check_temporary_credentials(app_id: str, app: model.AppEntry, entries: Entries) -> Iterator[Violation]:
    """Yield what is wrong with `temporary_credentials` and the keys that it depends on, by paths below the app."""
    temporary = app.temporary_credentials
    if temporary is None:
        return
    entry = entries.get(app.credentials)
    if entry is not None and not isinstance(entry, credential_model.StsRole):
        message = (
            f"STS issues them only with a role of its own, and {quote(app.credentials)} is of type {entry.type}; "
            "name an entry of type assume_role or oidc"
        )
        yield Violation(_PATH, message, at_key=True)
    if any(isinstance(each, caller_model.OpenCallers) for each in app.callers):
        message = "each belongs to one caller, and callers of type open are not identified; choose another type"
        yield Violation(_PATH, message, at_key=True)
    if not MIN_TOKEN_LIFETIME <= temporary.duration <= MAX_TOKEN_LIFETIME:
        message = f"{format_duration(temporary.duration)} is not a lifetime that STS issues; write 15m to 12h"
        yield Violation((*_PATH, "duration"), message)
    yield from _check_prefix(app_id, app, temporary)
    if app.downloads is not None and "read" not in temporary.actions:
        message = (
            "downloads are signed with the caller's own credential, which may not read; add read, or remove downloads"
        )
        yield Violation((*_PATH, "actions"), message)
    if app.downloads is not None:
        longest = app.downloads.window + app.downloads.expires
        if longest > temporary.duration / 2 and longest <= MAX_EXPIRES:
            message = (
                f"{format_duration(temporary.duration)} is too short: downloads are signed with these credentials, "
                "which are renewed below half of their lifetime, and a URL is valid for "
                f"{format_duration(longest)}, window and expires together; write at least "
                f"{format_duration(longest * 2)}, or shorten downloads.expires"
            )
            yield Violation((*_PATH, "duration"), message)


def _check_prefix(app_id: str, app: model.AppEntry, temporary: TemporaryCredentials) -> Iterator[Violation]:
    fixed = fixed_prefix(app_id, app.key_prefix)
    if not app.key_prefix.replace("{app}", app_id)[len(fixed) :].startswith("{caller}/"):
        yield Violation(
            ("key_prefix",),
            f"{quote(app.key_prefix)} does not have {{caller}}/ as its first variable, and * in a RAM policy matches "
            "slashes too, so a caller could reach objects of others; write a prefix such as photos/{caller}/{yyyy}/, "
            "or remove temporary_credentials",
        )
    elif not {"*", "?"}.isdisjoint(fixed):
        yield Violation(
            ("key_prefix",),
            f"{quote(app.key_prefix)} has a * or ?, which are wildcards in the RAM policies of temporary_credentials, "
            "so a caller could reach objects of others; remove it",
        )
    also = " or those in downloads.also" if app.downloads is not None and app.downloads.also else ""
    length = len(caller_access(app_id, app, temporary).policy(_LONGEST_CALLER))
    if length > MAX_SESSION_POLICY_CHARACTERS:
        yield Violation(
            ("key_prefix",),
            f"too long for temporary_credentials: the session policy of a caller id of {MAX_CALLER_CHARACTERS} "
            f"characters has {length:,} characters, and STS accepts {MAX_SESSION_POLICY_CHARACTERS:,}; shorten the "
            f"prefix{also}",
        )
