"""From the typed model of one app to the plain rules it is signed by, and the checks that need more than one value."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from signer.definitions import model
from signer.definitions.quantities import format_duration
from signer.definitions.registry import App, KeyTexts, Role
from signer.object_key import PREFIX_PLACEHOLDERS, BadTemplate, KeyNaming, Template
from signer.policy import MAX_EXPIRES, MAX_OBJECT_BYTES, UploadRules

SESSION_POLICY_CHARACTERS = 2048
"""What STS takes at most (help page `AssumeRole`)."""

REFRESH_ROOM = timedelta(minutes=5)
"""What must be left of a token's life beside the longest `expires`, to replace it in."""

ECS_TOKEN_LIFE = timedelta(hours=6)
"""How long the metadata service's tokens live (help page `ECS instance RAM roles`)."""

Finding = tuple[tuple[str | int, ...], str]
"""A path below the app, and what is wrong there."""

RESERVED_FIELDS = frozenset({
    "key", "policy", "file", "bucket", "success_action_status", "callback", "content-type", "x-oss-content-type",
    "x-oss-signature", "x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-security-token",
})  # fmt: skip
"""Fields that have a key of their own in the YAML, or that the signer makes."""

ACLS = ("default", "private", "public-read", "public-read-write")
STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")


def findings(app: model.App) -> Iterator[Finding]:
    """All that is wrong with an app whose single values are right."""
    caller_known = not isinstance(app.callers, model.OpenCallers)
    for name, text, allowed in (("key_prefix", app.key_prefix, True), ("key", _key_text(app), False)):
        try:
            template = Template.parse(text, PREFIX_PLACEHOLDERS) if allowed else Template.parse(text)
        except BadTemplate as error:
            yield (name,), f"{name} {error}"
            continue
        if "caller" in template.names and not caller_known:
            yield (
                (name,),
                f"{name} uses {{caller}}, but with callers: {{type: open}} nobody is known; choose another type",
            )
    if "{caller}" in app.key_prefix.replace("{caller}/", ""):
        yield (
            ("key_prefix",),
            "key_prefix needs a / right after {caller}, or one caller could reach another's files",
        )
    if not timedelta(seconds=1) <= app.expires <= MAX_EXPIRES:
        yield ("expires",), "expires must be from 1s to 7d"
    if app.max_size > MAX_OBJECT_BYTES:
        yield ("max_size",), "max_size is more than OSS takes in one form, 5GiB"
    if app.min_size > app.max_size:
        yield ("min_size",), "min_size is more than max_size"
    yield from _header_findings(app.headers)
    for index, condition in enumerate(app.conditions):
        if (why := _condition_complaint(condition)) is not None:
            yield ("conditions", index), why


def _header_findings(headers: dict[str, str]) -> Iterator[Finding]:
    for name, value in headers.items():
        path = ("headers", name)
        lower = name.lower()
        if lower in RESERVED_FIELDS or lower.startswith("x:"):
            yield (
                path,
                f"'{name}' is made by the signer; use the app's own keys (content_types, success_status, callback)",
            )
        elif not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            yield path, "is no form field name"
        elif "$" in value or any(ord(c) < 32 for c in value):
            yield path, f"{name} holds a $ or a control character, which a condition cannot"
        elif lower == "x-oss-object-acl" and value not in ACLS:
            yield path, f"{name} must be one of {', '.join(ACLS)}"
        elif lower == "x-oss-storage-class" and value not in STORAGE_CLASSES:
            yield path, f"{name} must be one of {', '.join(STORAGE_CLASSES)}"


def _condition_complaint(condition: Any) -> str | None:
    """Why a raw condition has no form that OSS knows (help page `postobject`, error page 0006-00000216)."""
    shape = "write [eq, $field, value], [starts-with, $field, value], [in, $field, [..]], [not-in, $field, [..]]"
    if (
        not isinstance(condition, list)
        or len(condition) != 3
        or condition[0] not in ("eq", "starts-with", "in", "not-in")
    ):
        return f"is no condition; {shape}"
    mode, name, value = condition
    if not isinstance(name, str) or not name.startswith("$") or len(name) < 2:
        return f"the second item names a form field, such as $x-oss-meta-team; {shape}"
    if name[1:].lower() in RESERVED_FIELDS:
        return f"{name} is pinned by the signer already; use the app's own keys"
    values = value if mode in ("in", "not-in") else [value]
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        return f"the third item is {'a list of texts' if mode in ('in', 'not-in') else 'a text'}; {shape}"
    if any("$" in item for item in values):
        return "a $ in a condition's value is special to OSS; leave it out"
    return None


def _key_text(app: model.App) -> str:
    return {"client": "", "uuid": "{uuid}.{ext}"}.get(app.key, app.key)


def compile_app(app_id: str, app: model.App, role: str) -> App:
    """An app without findings, as requests need it; `role` is the key of the role it signs with."""
    name = None if app.key == "client" else Template.parse(_key_text(app))
    rules = UploadRules(
        bucket=app.bucket,
        region=app.region,
        url=app.domain or f"https://{app.bucket}.oss-{app.region}.aliyuncs.com",
        naming=KeyNaming(Template.parse(app.key_prefix, PREFIX_PLACEHOLDERS), name),
        expires=app.expires,
        min_size_bytes=app.min_size,
        max_size_bytes=app.max_size,
        content_types=app.content_types,
        success_status=app.success_status,
        headers={key.lower(): value for key, value in app.headers.items()},
        conditions=app.conditions,
        callback=None if app.callback is None else _callback_field(app.callback),
    )
    return App(
        id=app_id,
        name=app.name or app_id,
        enabled=app.enabled,
        rules=rules,
        role=role,
        callers=app.callers,
        rate_limit=app.rate_limit,
        cors_origins=frozenset(app.cors_origins),
        generate_signature=app.generate_signature,
    )


Entries = Mapping[str, model.CredentialEntry]
Keys = Mapping[str, KeyTexts]


def role_of(app: model.App, app_id: str, entries: Entries, keys: Keys) -> tuple[str, Role]:
    """The role an app signs with, and its key: with `scope: app` a token of its own, narrowed by a session policy."""
    role = _role(app.credentials, entries, keys)
    if isinstance(role.entry, model.AssumedRole) and role.entry.scope == "app":
        return f"{app.credentials}/{app_id}", replace(role, session_policy=session_policy(app))
    return app.credentials, role


def _role(name: str, entries: Entries, keys: Keys) -> Role:
    entry = entries[name]
    source = entry.source if isinstance(entry, model.AssumeRole) else None
    return Role(name, entry, key=keys.get(name), source=None if source is None else _role(source, entries, keys))


def key_texts(entry: model.CredentialEntry, written: Callable[[str], str | None]) -> KeyTexts | None:
    """The AccessKey of an entry as text to fill in anew; `written` gives what stands there in `${...}`, else None."""
    if not isinstance(entry, model.AssumeRole | model.Static) or entry.access_key_id is None:
        return None
    token = entry.security_token if isinstance(entry, model.Static) else None
    return KeyTexts(
        written("access_key_id") or entry.access_key_id,
        written("access_key_secret") or _clear(entry.access_key_secret) or "",
        written("security_token") or _clear(token),
    )


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def credential_findings(name: str, entries: Entries) -> Iterator[Finding]:
    """All that is wrong with a credentials entry whose single values are right."""
    entry = entries[name]
    if not isinstance(entry, model.AssumeRole):
        return
    if entry.source is None:
        for key in ("access_key_id", "access_key_secret"):
            if getattr(entry, key) is None:
                variable = entry.documented_environment[key]
                yield (), f"'{key}' is missing; write it, set {variable} in the environment, or name a source"
        return
    if entry.access_key_id is not None or entry.access_key_secret is not None:
        yield ("source",), "has a source and an AccessKey; leave one of them out"
    seen = [name]
    while isinstance(entry, model.AssumeRole) and entry.source is not None:
        if entry.source not in entries:
            yield from ([(("source",), f"no credentials entry '{entry.source}'")] if len(seen) == 1 else [])
            return
        if entry.source in seen:
            yield ("source",), f"goes round in a circle: {' -> '.join([*seen, entry.source])}"
            return
        seen.append(entry.source)
        entry = entries[entry.source]


def warnings(app: model.App, entry: model.CredentialEntry) -> Iterator[Finding]:
    """What works, but an operator should know of."""
    if not app.enabled:
        return
    if isinstance(entry, model.Static):
        yield ("credentials",), "signs with a static credential, which nothing replaces; use it for tests only"
    if isinstance(app.callers, model.OpenCallers) and app.rate_limit == model.RateLimit():
        yield (), "gives forms to anyone, as often as they like; set rate_limit or another type of callers"


def session_policy(app: model.App) -> str:
    """RAM policy for `oss:PutObject` below the fixed part of the app's prefix (help page `AssumeRole`, Policy)."""
    fixed = app.key_prefix.partition("{")[0]
    statement = {
        "Effect": "Allow",
        "Action": "oss:PutObject",
        "Resource": f"acs:oss:*:*:{app.bucket}/{fixed}*",
    }
    return json.dumps({"Version": "1", "Statement": [statement]}, ensure_ascii=False, separators=(",", ":"))


def session_policy_finding(app: model.App, entry: model.CredentialEntry) -> Finding | None:
    if not isinstance(entry, model.AssumedRole) or entry.scope != "app":
        return None
    length = len(session_policy(app))
    if length > SESSION_POLICY_CHARACTERS:
        return (
            "key_prefix",
        ), f"makes a session policy of {length} characters; STS takes {SESSION_POLICY_CHARACTERS}: shorten it"
    return None


def expires_finding(app: model.App, entry: model.CredentialEntry) -> Finding | None:
    """An `expires` that the role's tokens cannot cover and leave room to be replaced in."""
    if isinstance(entry, model.AssumedRole):
        life, owner, mend = entry.duration, "its role's", "raise the role's duration, or write"
    elif isinstance(entry, model.EcsRamRole):
        life, owner, mend = ECS_TOKEN_LIFE, "an ECS role token's", "write"
    else:
        return None
    if app.expires + REFRESH_ROOM <= life:
        return None
    told = (
        f"expires {format_duration(app.expires)} leaves less than {format_duration(REFRESH_ROOM)} of {owner} "
        f"{format_duration(life)} to fetch a new token in; {mend} at most {format_duration(life - REFRESH_ROOM)}"
    )
    return ("expires",), told


def _callback_field(callback: model.Callback) -> str:
    """The `callback` form field: Base64 JSON (help page `callback`)."""
    document = {
        "callbackUrl": callback.url,
        "callbackBody": callback.body,
        "callbackBodyType": callback.body_type,
        **({"callbackHost": callback.host} if callback.host else {}),
    }
    return base64.b64encode(json.dumps(document, ensure_ascii=False).encode()).decode()
