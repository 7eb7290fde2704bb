"""An app's upload rules, and the PostObject policy and form fields that they become.

Pure functions over plain values. Rules: help pages `postobject` (policy, conditions, form fields) and
`signature-version-4-recommend` (the fields that V4 wants in the policy). A field that no condition names is accepted
by OSS, so whatever a client must not change is pinned here by a condition of its own.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from signer import v4
from signer.callbacks.form_field import CallbackField
from signer.callbacks.proof import Scope
from signer.errors import CredentialsUnavailable, InvalidRequest, TooLarge, UnsupportedType
from signer.object_key import KeyNaming

MAX_OBJECT_BYTES = 5 * 1024**3
MAX_EXPIRES = timedelta(days=7)
MAX_VARS = 20
MAX_VAR_BYTES = 1024
MAX_META_BYTES = 4096

Condition = list[Any] | dict[str, str]

_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#&^_.+-]{1,127}/[A-Za-z0-9!#&^_.+-]{1,127}(; ?[A-Za-z0-9_-]+=[\w.+-]+)*", re.ASCII
)
_VAR_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_TYPES = mimetypes.MimeTypes()
"""Python's own list, without what this machine adds to it."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class UploadRules:
    """What an app allows: plain values, checked when the definitions were read."""

    bucket: str
    region: str
    url: str
    naming: KeyNaming
    expires: timedelta
    max_size_bytes: int
    min_size_bytes: int = 1
    content_types: tuple[str, ...] = ()
    """Exact types and `image/*` wildcards; empty allows any."""
    success_status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """Form fields with a fixed value, pinned by a condition each."""
    conditions: tuple[Condition, ...] = ()
    callback: CallbackField | None = None
    meta_names: frozenset[str] = frozenset()
    """The `x-oss-meta-*` names, without that prefix, that a wish may give a value."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client says about the file it wants to upload; all of it optional and none of it trusted."""

    filename: str | None = None
    content_type: str | None = None
    size_bytes: int | None = None
    vars: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    """The object's own metadata, by name without `x-oss-meta-`."""


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """A form that OSS will accept until `expires_at`."""

    url: str
    fields: dict[str, str] = field(repr=False)
    key_prefix: str
    key: str | None
    expires_at: datetime
    max_size_bytes: int

    def policy(self) -> dict[str, Any]:
        """The policy document, decoded; the security token inside it is masked."""
        text = base64.b64decode(self.fields["policy"]).decode()
        document: dict[str, Any] = json.loads(text)
        for condition in document["conditions"]:
            if "x-oss-security-token" in condition:
                condition["x-oss-security-token"] = "***"
        return document


def sign_form(
    rules: UploadRules,
    wish: Wish,
    *,
    app_id: str,
    caller: str | None,
    credential: v4.Credential,
    now: datetime,
) -> SignedUpload:
    """The whole form, every field that the rules fix in it and pinned, so that a client can change, drop or add none.

    Raises a `Problem` when the wish breaks the rules.
    """
    _check_size(rules, wish)
    prefix, key = rules.naming.keys(app_id=app_id, caller=caller, filename=wish.filename, now=now)
    expires_at = _end(rules, credential, now)
    content_type = choose_content_type(rules, wish)
    fixed = {
        "x-oss-object-acl": "default",
        **rules.headers,
        "success_action_status": str(rules.success_status),
    }
    if content_type is not None:
        # OSS documents x-oss-content-type as the first choice for the stored type; pinning both leaves no way round.
        fixed |= {"x-oss-content-type": content_type, "Content-Type": content_type}
    if rules.callback is not None:
        scope = _scope(prefix, key, caller, expires_at)
        fixed["callback"] = rules.callback.text(scope, app_id=app_id, bucket=rules.bucket)
    fixed |= _callback_variables(rules, wish.vars)
    fixed |= _metadata(rules, wish.meta)
    fields = {"key": key if key is not None else prefix + "${filename}"}
    fields |= fixed
    fields |= {name: value for name, value in _raw_exact_fields(rules) if name not in fields}
    conditions: list[Condition] = [["eq", f"${name.lower()}", value] for name, value in fixed.items()]
    return _sign(rules, prefix, key, conditions, fields, credential, expires_at, now)


def sign_documented(
    rules: UploadRules,
    wish: Wish,
    *,
    app_id: str,
    caller: str | None,
    credential: v4.Credential,
    now: datetime,
) -> SignedUpload:
    """The answer for a client that builds its own form, as Alibaba's sample does (help page 92883).

    Only what the YAML says is pinned: such a client sends no ACL and may send any success status. Where there is a
    callback, the client has to send that field.
    """
    _check_size(rules, wish)
    prefix, key = rules.naming.keys(app_id=app_id, caller=caller, filename=wish.filename, now=now)
    expires_at = _end(rules, credential, now)
    fixed = dict(rules.headers)
    fields = {"key": key} if key is not None else {}
    if rules.callback is not None:
        scope = _scope(prefix, key, caller, expires_at)
        fields["callback"] = fixed["callback"] = rules.callback.text(scope, app_id=app_id, bucket=rules.bucket)
    conditions: list[Condition] = [["eq", f"${name.lower()}", value] for name, value in fixed.items()]
    if rules.content_types:
        conditions.append(_content_type_condition(rules, wish))
    return _sign(rules, prefix, key, conditions, fields, credential, expires_at, now)


def _end(rules: UploadRules, credential: v4.Credential, now: datetime) -> datetime:
    """Never after the credential's own. Raises `CredentialsUnavailable` when that is over."""
    expires_at = (now + rules.expires).replace(microsecond=0)
    if credential.expiration is not None:
        expires_at = min(expires_at, credential.expiration.replace(microsecond=0))
    if expires_at <= now:
        raise CredentialsUnavailable("the credential has ended; try again shortly", retry_after_seconds=1)
    return expires_at


def _scope(prefix: str, key: str | None, caller: str | None, expires_at: datetime) -> Scope:
    return Scope(prefix if key is None else key, key is not None, caller, int(expires_at.timestamp()))


def _sign(
    rules: UploadRules,
    prefix: str,
    key: str | None,
    conditions: list[Condition],
    fields: dict[str, str],
    credential: v4.Credential,
    expires_at: datetime,
    now: datetime,
) -> SignedUpload:
    x_oss_date = v4.format_date(now)
    auth = {
        "x-oss-signature-version": v4.SIGNATURE_VERSION,
        "x-oss-credential": v4.credential_scope(credential.access_key_id, x_oss_date, rules.region),
        "x-oss-date": x_oss_date,
    }
    if credential.security_token:
        auth["x-oss-security-token"] = credential.security_token
    document = {
        "expiration": expires_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "conditions": [
            {"bucket": rules.bucket},
            *({name: value} for name, value in auth.items()),
            ["eq", "$key", key] if key is not None else ["starts-with", "$key", prefix],
            ["content-length-range", rules.min_size_bytes, rules.max_size_bytes],
            *conditions,
            *rules.conditions,
        ],
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    policy = base64.b64encode(text.encode()).decode()
    signing_key = v4.signing_key(credential.access_key_secret, x_oss_date[:8], rules.region)
    signed = {**fields, **auth, "policy": policy, "x-oss-signature": v4.signature(signing_key, policy)}
    return SignedUpload(rules.url, signed, prefix, key, expires_at, rules.max_size_bytes)


def choose_content_type(rules: UploadRules, wish: Wish) -> str | None:
    """The one type to sign: the wish's own, else the file name's, else the app's only one; None where any will do.

    Raises `UnsupportedType` for a type the app does not take, `InvalidRequest` for none where one is needed.
    """
    wanted = wish.content_type
    if wanted is not None and (len(wanted) > 255 or not _MEDIA_TYPE.fullmatch(wanted)):
        raise InvalidRequest("content_type is no media type such as image/jpeg")
    if not rules.content_types:
        return wanted
    if wanted is None and wish.filename is not None:
        wanted = _TYPES.guess_type(wish.filename)[0]
    if wanted is None and len(rules.content_types) == 1 and "*" not in rules.content_types[0]:
        wanted = rules.content_types[0]
    allowed = ", ".join(rules.content_types)
    if wanted is None:
        raise InvalidRequest(f"say content_type; this app takes {allowed}")
    if not any(_matches(pattern, wanted) for pattern in rules.content_types):
        raise UnsupportedType(f"this app takes {allowed}")
    return wanted


def _matches(pattern: str, content_type: str) -> bool:
    bare = content_type.partition(";")[0].lower()
    pattern = pattern.lower()
    return bare.startswith(pattern[:-1]) if pattern.endswith("/*") else bare == pattern


def _content_type_condition(rules: UploadRules, wish: Wish) -> Condition:
    """A condition on `x-oss-content-type`, which decides the stored type whatever else the form says."""
    name = "$x-oss-content-type"
    if wish.content_type is not None:
        return ["eq", name, choose_content_type(rules, wish)]
    wildcards = [pattern for pattern in rules.content_types if pattern.endswith("/*")]
    if not wildcards:
        return ["in", name, list(rules.content_types)]
    if len(rules.content_types) == 1:
        return ["starts-with", name, wildcards[0][:-1]]
    allowed = ", ".join(rules.content_types)
    raise InvalidRequest(f"say content_type in the query, since one form cannot allow all of {allowed}")


def _check_size(rules: UploadRules, wish: Wish) -> None:
    if wish.size_bytes is None:
        return
    if wish.size_bytes > rules.max_size_bytes:
        raise TooLarge(f"the file has {wish.size_bytes} bytes; this app takes at most {rules.max_size_bytes}")
    if wish.size_bytes < rules.min_size_bytes:
        raise InvalidRequest(f"the file has {wish.size_bytes} bytes; this app takes at least {rules.min_size_bytes}")


def _callback_variables(rules: UploadRules, variables: Mapping[str, str]) -> dict[str, str]:
    """`x:name` fields for the callback body (help page `callback`), pinned like the rest."""
    if variables and rules.callback is None:
        raise InvalidRequest("vars are for the upload callback, and this app has none")
    if len(variables) > MAX_VARS:
        raise InvalidRequest(f"at most {MAX_VARS} vars")
    for name, value in variables.items():
        if not _VAR_NAME.fullmatch(name):
            raise InvalidRequest("the names in vars are 1 to 64 of a-z 0-9 _ -")
        if _CONTROL.search(value) or "$" in value or len(value.encode()) > MAX_VAR_BYTES:
            raise InvalidRequest(f"vars.{name}: at most {MAX_VAR_BYTES} bytes, no control characters, no $")
    return {f"x:{name}": value for name, value in variables.items()}


def _metadata(rules: UploadRules, meta: Mapping[str, str]) -> dict[str, str]:
    """`x-oss-meta-*` fields of the wish, pinned like the rest; OSS takes 8 KB of them (help page `postobject`)."""
    for name, value in meta.items():
        if name not in rules.meta_names:
            known = ", ".join(sorted(rules.meta_names)) or "none"
            raise InvalidRequest(f"meta: this app takes no {name[:64]!r}; it takes: {known}")
        if _CONTROL.search(value) or "$" in value:
            raise InvalidRequest(f"meta.{name}: no control characters, no $")
        if f"x-oss-meta-{name}" in rules.headers:
            raise InvalidRequest(f"meta.{name} is fixed by this app")
    if sum(len((name + value).encode()) for name, value in meta.items()) > MAX_META_BYTES:
        raise InvalidRequest(f"meta: at most {MAX_META_BYTES} bytes in all")
    return {f"x-oss-meta-{name}": value for name, value in meta.items()}


def _raw_exact_fields(rules: UploadRules) -> list[tuple[str, str]]:
    """The fields whose value a raw condition leaves no choice about."""
    return [
        (condition[1].removeprefix("$"), condition[2])
        for condition in rules.conditions
        if isinstance(condition, list) and condition[0] == "eq"
    ]
