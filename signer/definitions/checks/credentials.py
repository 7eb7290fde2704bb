"""Check the entries under `credentials`, and whether an app's forms fit the tokens of its entry.

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerole
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from signer.definitions import credential_model, model
from signer.definitions.mistakes import Violation
from signer.definitions.quantities import format_duration
from signer.definitions.redaction import printable_name, quote
from signer.definitions.roles import app_session_policy
from signer.definitions.suggestions import KnownNames
from signer.signing.session_policy import MAX_SESSION_POLICY_CHARACTERS
from signer.signing.upload_rules import MAX_EXPIRES

Entries = Mapping[str, credential_model.CredentialEntry]

_REFRESH_ROOM = timedelta(minutes=5)
"""How much of a token's lifetime must be left beyond the longest `expires`, to fetch the next one in."""

_ECS_TOKEN_LIFETIME = timedelta(hours=6)
"""How long the tokens of the metadata service live.

See: https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance
"""

MIN_TOKEN_LIFETIME, MAX_TOKEN_LIFETIME = timedelta(minutes=15), timedelta(hours=12)
"""The limits of DurationSeconds of STS; a role's MaxSessionDuration is at most 12 hours."""

_MAX_CHAIN = 5
"""How many entries may be assumed with each other in a row; each needs a token before the next."""


def check_app_credentials(app_id: str, app: model.AppEntry, entries: Entries, names: KnownNames) -> Iterator[Violation]:
    """Yield what is wrong with the entry that an app signs with."""
    entry = entries.get(app.credentials)
    if app.credentials not in names:
        message = f"{quote(app.credentials)} is not an entry under credentials; {names.suggestion(app.credentials)}"
        yield Violation(("credentials",), message, may_be_elsewhere=True)
    elif entry is not None:
        yield from _check_expires(app, entry)
        yield from _check_session_policy(app_id, app, entry)


def _check_expires(app: model.AppEntry, entry: credential_model.CredentialEntry) -> Iterator[Violation]:
    """Reject an `expires` that leaves no room to replace the token in."""
    if isinstance(entry, credential_model.StsRole):
        lifetime, tokens, fix = entry.duration, "the role's tokens", "raise the role's duration, or write"
    elif isinstance(entry, credential_model.EcsRamRole):
        lifetime, tokens, fix = _ECS_TOKEN_LIFETIME, "the tokens of an ECS role", "write"
    else:
        return
    limits = (
        f"is too long: {tokens} live {format_duration(lifetime)}, of which {format_duration(_REFRESH_ROOM)} are needed "
        f"to fetch the next one; {fix} at most {format_duration(lifetime - _REFRESH_ROOM)}"
    )
    if timedelta(seconds=1) <= app.expires <= MAX_EXPIRES and app.expires + _REFRESH_ROOM > lifetime:
        yield Violation(("expires",), f"{format_duration(app.expires)} {limits}")
    if app.downloads is not None and app.temporary_credentials is None:
        longest = app.downloads.window + app.downloads.expires
        if timedelta(seconds=1) <= longest <= MAX_EXPIRES and longest + _REFRESH_ROOM > lifetime:
            what = f"a URL is valid for {format_duration(longest)}, window and expires together, which"
            yield Violation(("downloads",), f"{what} {limits}")


def _check_session_policy(
    app_id: str, app: model.AppEntry, entry: credential_model.CredentialEntry
) -> Iterator[Violation]:
    if not isinstance(entry, credential_model.StsRole) or entry.scope != "app":
        return
    length = len(app_session_policy(app_id, app))
    also = " or those in downloads.also" if app.downloads is not None and app.downloads.also else ""
    if length > MAX_SESSION_POLICY_CHARACTERS:
        yield Violation(
            ("key_prefix",),
            f"too long for scope: app: the session policy has {length:,} characters, and STS accepts "
            f"{MAX_SESSION_POLICY_CHARACTERS:,}; shorten the prefix{also}",
        )


def check_entry(name: str, entries: Entries, names: KnownNames) -> Iterator[Violation]:
    """Yield what is wrong with an entry, by paths below it; `names` are those of all entries, `entries` the valid."""
    entry = entries[name]
    if entry.timeout < timedelta(seconds=1):
        yield Violation(("timeout",), f"{format_duration(entry.timeout)} is too short; write at least 1s")
    if isinstance(entry, credential_model.StsRole):
        if not MIN_TOKEN_LIFETIME <= entry.duration <= MAX_TOKEN_LIFETIME:
            message = f"{format_duration(entry.duration)} is not a lifetime that STS issues; write 15m to 12h"
            yield Violation(("duration",), message)
        elif entry.min_remaining >= entry.duration:
            shortest, duration = format_duration(entry.min_remaining), format_duration(entry.duration)
            message = f"{shortest} is not less than duration ({duration}); lower it, or raise duration"
            yield Violation(("min_remaining",), message)
    if isinstance(entry, credential_model.AssumeRole) and entry.source is None:
        yield from _check_access_key(entry)
    elif isinstance(entry, credential_model.AssumeRole):
        yield from _check_source(name, entry, entry.source, entries, names)


def _check_access_key(entry: credential_model.AssumeRole) -> Iterator[Violation]:
    for key in ("access_key_id", "access_key_secret"):
        if getattr(entry, key) is None:
            variable = entry.environment_variables[key]
            message = f"{key} is missing; write it, set {variable} in the environment, or write source"
            yield Violation((), message, at_key=True)


def _check_source(
    name: str, entry: credential_model.AssumeRole, source: str | None, entries: Entries, names: KnownNames
) -> Iterator[Violation]:
    path = ("source",)
    if entry.access_key_id is not None or entry.access_key_secret is not None:
        yield Violation(path, "the entry also has an AccessKey; remove one of the two")
    if source is not None and source not in names:
        message = f"{quote(source)} is not an entry under credentials; {names.suggestion(source)}"
        yield Violation(path, message, may_be_elsewhere=True)
    chain = [name]
    following: credential_model.CredentialEntry | None = entry
    while isinstance(following, credential_model.AssumeRole) and following.source is not None:
        chain.append(following.source)
        if following.source in chain[:-1]:
            if following.source == name:
                circle = " -> ".join(map(printable_name, chain))
                yield Violation(path, f"the sources form a circle: {circle}; remove one")
            return
        if len(chain) > _MAX_CHAIN:
            yield Violation(path, f"this is a chain of more than {_MAX_CHAIN} entries; shorten it")
            return
        following = entries.get(following.source)
