"""What is wrong with definitions whose single values are right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from signer.callers.plugins import load
from signer.definitions import model
from signer.definitions.quantities import format_duration, format_size
from signer.definitions.session_policy import session_policy
from signer.definitions.suggestions import KnownNames, nearest, printable_name
from signer.delivery.callback_body import CallbackBodyFormat, InvalidBodyTemplate
from signer.listen_address import ListenAddress
from signer.signing.object_key import KEY_PLACEHOLDERS, PREFIX_PLACEHOLDERS, InvalidTemplate, Template
from signer.signing.upload_rules import MAX_EXPIRES, MAX_OBJECT_BYTES

SESSION_POLICY_CHARACTERS = 2048
"""What STS takes at most (help page `AssumeRole`)."""

REFRESH_ROOM = timedelta(minutes=5)
"""What must be left of a token's life beside the longest `expires`, to replace it in."""

ECS_TOKEN_LIFE = timedelta(hours=6)
"""How long the metadata service's tokens live (help page `ECS instance RAM roles`)."""

TOKEN_LIFE = timedelta(minutes=15), timedelta(hours=12)
"""What STS takes as DurationSeconds (help page `AssumeRole`), and the most a role's MaxSessionDuration can be."""

SESSION_LIFE = timedelta(minutes=5), timedelta(days=7)

MAX_SOURCES = 5
"""How many entries may be assumed with each other in a row; each costs a fetch before the next."""

Finding = tuple[tuple[str | int, ...], str]
"""A path below the app, and what is wrong there."""

Entries = Mapping[str, model.CredentialEntry]

RESERVED_FIELDS = frozenset({
    "key", "policy", "file", "bucket", "success_action_status", "callback", "content-type", "x-oss-content-type",
    "x-oss-signature", "x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-security-token",
})  # fmt: skip
"""Fields that have a key of their own in the YAML, or that the signer makes."""

_OWN_DOMAIN = re.compile(r"https?://(?:([a-z0-9-]+)\.)?oss-([a-z0-9-]+?)(-internal)?\.aliyuncs\.com(?::[0-9]+)?")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_CONDITION = "write [eq, $field, text], [starts-with, $field, text], [in, $field, [..]] or [not-in, $field, [..]]"


def app_findings(app_id: str, app: model.App, entries: Entries, known: KnownNames) -> Iterator[Finding]:
    """All that is wrong with an app; `entries` are the usable credentials entries, `known` the names of all."""
    for check in (_names, _quantities, _domain, _headers, _conditions, _callers, _callback, _downloads):
        yield from check(app)
    yield from _other_callers(app_id, app)
    entry = entries.get(app.credentials)
    if app.credentials not in known:
        yield ("credentials",), f"there is no such entry under credentials; {known.suggestion(app.credentials)}"
    elif entry is not None:
        yield from _expires(app, entry)
        yield from _session_policy(app_id, app, entry)


def key_text(app: model.App) -> str:
    """What `key` stands for as a template; empty where the client names the object."""
    return {"client": "", "uuid": "{uuid}.{ext}"}.get(app.key, app.key)


def _names(app: model.App) -> Iterator[Finding]:
    caller_known = not any(isinstance(each, model.OpenCallers) for each in app.callers)
    for key, text, known in (
        ("key_prefix", app.key_prefix, PREFIX_PLACEHOLDERS),
        ("key", key_text(app), KEY_PLACEHOLDERS),
    ):
        placeholders = _PLACEHOLDER.findall(text)
        if unknown := [name for name in placeholders if name not in known]:
            near = nearest(unknown[0], known)
            mend = f"did you mean {{{near}}}?" if near else f"known here: {' '.join(f'{{{n}}}' for n in sorted(known))}"
            yield (key,), f"has the unknown placeholder {{{printable_name(unknown[0])}}}; {mend}"
            continue
        try:
            Template.parse(text, known)
        except InvalidTemplate as error:
            yield (key,), _with_mend(str(error))
            continue
        if "caller" in placeholders and not caller_known:
            yield (key,), "uses {caller}, but with callers: {type: open} nobody is known; choose another type"
    if "{caller}" in app.key_prefix.replace("{caller}/", ""):
        yield ("key_prefix",), "needs a / right after {caller}, or one caller could reach another's files"


def _callers(app: model.App) -> Iterator[Finding]:
    if not app.callers:
        yield ("callers",), "must not be empty"
    for index, entry in enumerate(app.callers):
        path: tuple[str | int, ...] = ("callers", index) if len(app.callers) > 1 else ("callers",)
        if isinstance(entry, model.OpenCallers) and index < len(app.callers) - 1:
            yield path, "open takes everyone, so those behind it are never asked; put it last"
        if isinstance(entry, model.WeChatCallers) and not SESSION_LIFE[0] <= entry.session <= SESSION_LIFE[1]:
            yield (*path, "session"), "must be from 5m to 7d"
        if isinstance(entry, model.JwtCallers):
            # PyJWT takes long to load, so only where somebody wants it.
            from signer.callers import verification_keys

            for name, text, read in (
                ("secret", _clear(entry.secret), verification_keys.from_secret),
                ("public_key", entry.public_key, verification_keys.from_pem),
            ):
                try:
                    if text is not None:
                        read(text)
                except verification_keys.InvalidKey as error:
                    yield (*path, name), str(error)


def _other_callers(app_id: str, app: model.App) -> Iterator[Finding]:
    """What a kind of another package says of its entry."""
    for index, entry in enumerate(app.callers):
        # Their type is that of the entries of ours, which is what editors are told of.
        other: model.AnyCallers = entry
        if isinstance(other, model.OtherCallers):
            try:
                load(other.type)(other.model_dump(), app_id)
            except ValueError as error:
                yield ("callers", index) if len(app.callers) > 1 else ("callers",), str(error)


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _callback(app: model.App) -> Iterator[Finding]:
    if app.callback is None:
        return
    try:
        CallbackBodyFormat.from_template(app.callback.body, app.callback.body_type)
    except InvalidBodyTemplate as error:
        # A callback that goes elsewhere may say what it likes.
        if app.callback.notify is not None:
            yield ("callback", "body"), str(error)


def _downloads(app: model.App) -> Iterator[Finding]:
    if app.downloads is not None and "{caller}" not in app.key_prefix:
        yield ("downloads",), "a caller may read only below a prefix of its own; put {caller}/ into key_prefix"


def _with_mend(complaint: str) -> str:
    if ";" in complaint:
        return complaint
    return f"{complaint}; {'shorten it' if 'longer' in complaint else 'leave it out'}"


def _quantities(app: model.App) -> Iterator[Finding]:
    if not timedelta(seconds=1) <= app.expires <= MAX_EXPIRES:
        yield ("expires",), "must be from 1s to 7d"
    if app.max_size > MAX_OBJECT_BYTES:
        yield ("max_size",), f"OSS takes at most {format_size(MAX_OBJECT_BYTES)} in one form"
    if app.min_size > app.max_size:
        yield ("min_size",), f"is more than max_size, which is {format_size(app.max_size)}"


def _domain(app: model.App) -> Iterator[Finding]:
    own = _OWN_DOMAIN.fullmatch(app.domain or "")
    if own is None or own[2].startswith("accelerate"):
        return
    if own[1] is None:
        yield ("domain",), "is OSS's endpoint without a bucket; leave it out, and the bucket's own domain is used"
    elif own[1] != app.bucket:
        yield ("domain",), "is the domain of another bucket than this app's; leave it out, or mend one of the two"
    elif own[2] != app.region:
        yield ("domain",), "is in another region than this app's; leave it out, or mend one of the two"


def _headers(app: model.App) -> Iterator[Finding]:
    seen: set[str] = set()
    for name, value in app.headers.items():
        path = ("headers", name)
        lower = name.lower()
        if lower in seen:
            yield path, "stands here twice; capital letters make no difference"
        seen.add(lower)
        if lower in RESERVED_FIELDS or lower.startswith("x:"):
            yield path, "is made by the signer; use the app's own keys (content_types, success_status, callback)"
        elif not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            yield path, "is not the name of a form field; write letters, digits, - and _"
        elif "$" in value or any(ord(c) < 32 for c in value):
            yield path, "holds a $ or a control character, which OSS's conditions cannot; leave it out"
        elif lower == "x-oss-object-acl" and value not in model.ACLS:
            yield path, _one_of(value, model.ACLS)
        elif lower == "x-oss-storage-class" and value not in model.STORAGE_CLASSES:
            yield path, _one_of(value, model.STORAGE_CLASSES)
        elif lower == "x-oss-forbid-overwrite" and value not in ("true", "false"):
            yield path, 'must be "true" or "false"'


def _one_of(value: str, known: tuple[str, ...]) -> str:
    near = nearest(value, known)
    return f"must be one of {', '.join(known)}{f'; did you mean {near}?' if near else ''}"


def _conditions(app: model.App) -> Iterator[Finding]:
    for index, condition in enumerate(app.conditions):
        if (why := _condition_complaint(condition)) is not None:
            yield ("conditions", index), why


def _condition_complaint(condition: Any) -> str | None:
    """Why a raw condition has no form that OSS knows (help page `postobject`, error page 0006-00000216)."""
    if (
        not isinstance(condition, list)
        or len(condition) != 3
        or condition[0] not in ("eq", "starts-with", "in", "not-in")
    ):
        return f"not a condition; {_CONDITION}"
    mode, name, value = condition
    if not isinstance(name, str) or not name.startswith("$") or len(name) < 2:
        return "the second item must name a form field, like $x-oss-meta-team"
    if name[1:].lower() in RESERVED_FIELDS:
        return "the signer fixes this field already; use the app's own keys"
    values = value if mode in ("in", "not-in") else [value]
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        return f"the third item must be {'a list of texts' if mode in ('in', 'not-in') else 'a text'}"
    if any("$" in item for item in values):
        return "a $ in a condition's value is special to OSS; leave it out"
    return None


def _expires(app: model.App, entry: model.CredentialEntry) -> Iterator[Finding]:
    """An `expires` that the role's tokens cannot cover and leave room to be replaced in."""
    if isinstance(entry, model.AssumedRole):
        life, whose, mend = entry.duration, "its role's tokens live", "raise the role's duration, or write"
    elif isinstance(entry, model.EcsRamRole):
        life, whose, mend = ECS_TOKEN_LIFE, "an ECS role's tokens live", "write"
    else:
        return
    if timedelta(seconds=1) <= app.expires <= MAX_EXPIRES and app.expires + REFRESH_ROOM > life:
        yield (
            ("expires",),
            f"{format_duration(app.expires)} is too long: {whose} {format_duration(life)}, and "
            f"{format_duration(REFRESH_ROOM)} of that is needed to fetch the next; {mend} at most "
            f"{format_duration(life - REFRESH_ROOM)}",
        )


def _session_policy(app_id: str, app: model.App, entry: model.CredentialEntry) -> Iterator[Finding]:
    if not isinstance(entry, model.AssumedRole) or entry.scope != "app":
        return
    length = len(session_policy(app_id, app))
    if length > SESSION_POLICY_CHARACTERS:
        yield (
            ("key_prefix",),
            f"too long for scope: app; it makes a session policy of {length:,} characters, and STS takes "
            f"{SESSION_POLICY_CHARACTERS:,}",
        )


def credential_findings(name: str, entries: Entries, known: KnownNames) -> Iterator[Finding]:
    """All that is wrong with a credentials entry; `entries` are those whose values are right, `known` all names."""
    entry = entries[name]
    if entry.timeout < timedelta(seconds=1):
        yield ("timeout",), "must be at least 1s"
    if isinstance(entry, model.AssumedRole):
        least, most = TOKEN_LIFE
        if not least <= entry.duration <= most:
            yield ("duration",), "must be from 15m to 12h; STS issues no other tokens"
        elif entry.min_remaining >= entry.duration:
            yield ("min_remaining",), f"must be less than the duration, {format_duration(entry.duration)}"
    if isinstance(entry, model.AssumeRole):
        yield from _assumed_with(name, entry, entries, known)


def _assumed_with(name: str, entry: model.AssumeRole, entries: Entries, known: KnownNames) -> Iterator[Finding]:
    if entry.source is None:
        for key in ("access_key_id", "access_key_secret"):
            if getattr(entry, key) is None:
                variable = entry.documented_environment[key]
                yield (), f"'{key}' is missing; write it, set {variable} in the environment, or name a source"
        return
    if entry.access_key_id is not None or entry.access_key_secret is not None:
        yield ("source",), "an AccessKey stands beside it; leave one of the two out"
    if entry.source not in known:
        yield ("source",), f"there is no such entry under credentials; {known.suggestion(entry.source)}"
    chain = [name]
    following: model.CredentialEntry | None = entry
    while isinstance(following, model.AssumeRole) and following.source is not None:
        chain.append(following.source)
        if following.source in chain[:-1]:
            if following.source == name:
                yield ("source",), f"goes round in a circle: {' -> '.join(map(printable_name, chain))}"
            return
        if len(chain) > MAX_SOURCES:
            yield ("source",), f"more than {MAX_SOURCES} entries are assumed with each other in a row; leave some out"
            return
        following = entries.get(following.source)


def server_findings(server: model.Server) -> Iterator[Finding]:
    if server.listen == server.admin and not server.listen.endswith(":0"):
        yield ("admin",), "is the same address as listen; give it one of its own"
    elif server.admin_token is None and not ListenAddress.parse(server.admin).is_local:
        yield (
            ("admin",),
            "other machines can reach it, and nothing guards it; write 127.0.0.1:9180 or "
            "unix:/run/oss-signer/admin.sock, or set server.admin_token",
        )
    if not timedelta(seconds=1) <= server.callback_timeout <= timedelta(minutes=1):
        yield ("callback_timeout",), "must be from 1s to 1m"
