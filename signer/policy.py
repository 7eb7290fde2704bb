"""An app's upload rules, and the PostObject policy and form fields that they become.

Pure functions over plain values. Rules: help pages `postobject` (policy, conditions, form fields) and
`signature-version-4-recommend` (the fields that V4 wants in the policy). A field that no condition names is accepted
by OSS, so whatever a client must not change is pinned here by a condition of its own.
"""

from __future__ import annotations

import base64
import hmac
import json
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

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


_ONE_SECOND = timedelta(seconds=1)
NO_WISH = Wish()


@dataclass(slots=True, eq=False)
class SignedUpload:
    """A form that OSS will accept until `expires_at`."""

    url: str
    fields: dict[str, str] = field(repr=False)
    key_prefix: str
    key: str | None
    expires_at: datetime
    max_size_bytes: int
    encoded: bytes | None = field(default=None, init=False, repr=False)
    """What whoever answers with it made of it, for the next who gets the same."""

    def policy(self) -> dict[str, Any]:
        """The policy document, decoded; the security token inside it is masked."""
        text = base64.b64decode(self.fields["policy"]).decode()
        document: dict[str, Any] = json.loads(text)
        for condition in document["conditions"]:
            if "x-oss-security-token" in condition:
                condition["x-oss-security-token"] = "***"
        return document


class Forms:
    """One app's forms. What all of them have in common is worked out once, or once a second."""

    __slots__ = (
        "_app_id",
        "_common",
        "_documented",
        "_documented_for_all",
        "_fixed",
        "_raw_fields",
        "_same_for_all",
        "_whole",
        "rules",
    )

    def __init__(self, app_id: str, rules: UploadRules) -> None:
        self.rules = rules
        self._app_id = app_id
        self._fixed = {
            "x-oss-object-acl": "default",
            **rules.headers,
            "success_action_status": str(rules.success_status),
        }
        limits: Condition = ["content-length-range", rules.min_size_bytes, rules.max_size_bytes]
        self._whole = _Fixed([limits, *_pinned(self._fixed)], rules.conditions)
        self._documented = _Fixed([limits, *_pinned(rules.headers)], rules.conditions)
        self._raw_fields = _raw_exact_fields(rules)
        self._same_for_all = rules.naming.same_for_all
        self._common: _Common | None = None
        self._documented_for_all: tuple[_Common, SignedUpload] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Forms) and (self._app_id, self.rules) == (other._app_id, other.rules)

    def whole(self, wish: Wish, *, caller: str | None, credential: v4.Credential, now: datetime) -> SignedUpload:
        """The whole form: what the rules fix is in it and pinned, so that a client can change, drop or add none.

        Raises a `Problem` when the wish breaks the rules.
        """
        rules = self.rules
        _check_size(rules, wish)
        prefix, key = rules.naming.keys(app_id=self._app_id, caller=caller, filename=wish.filename, now=now)
        common = self._at(credential, now)
        fixed: dict[str, str] = {}
        content_type = choose_content_type(rules, wish)
        if content_type is not None:
            # For the stored type OSS looks at x-oss-content-type first; pinning both leaves no way round.
            fixed = {"x-oss-content-type": content_type, "Content-Type": content_type}
        if rules.callback is not None:
            fixed["callback"] = self._callback(rules.callback, prefix, key, caller, common)
        if wish.vars:
            fixed |= _callback_variables(rules, wish.vars)
        if wish.meta:
            fixed |= _metadata(rules, wish.meta)
        fields = {"key": key if key is not None else prefix + "${filename}", **self._fixed, **fixed}
        for name, value in self._raw_fields:
            fields.setdefault(name, value)
        return self._sign(prefix, key, self._whole, _pinned(fixed), fields, common)

    def documented(self, wish: Wish, *, caller: str | None, credential: v4.Credential, now: datetime) -> SignedUpload:
        """The answer for a client that builds its own form, as Alibaba's sample does (help page 92883).

        Only what the YAML says is pinned: such a client sends no ACL and may send any success status. Where there is a
        callback, the client has to send that field.
        """
        common = self._at(credential, now)
        for_all = wish is NO_WISH and caller is None and self._same_for_all
        if for_all and self._documented_for_all is not None and self._documented_for_all[0] is common:
            return self._documented_for_all[1]
        upload = self._sign_documented(wish, caller, common, now)
        if for_all:
            self._documented_for_all = (common, upload)
        return upload

    def _sign_documented(self, wish: Wish, caller: str | None, common: _Common, now: datetime) -> SignedUpload:
        rules = self.rules
        _check_size(rules, wish)
        prefix, key = rules.naming.keys(app_id=self._app_id, caller=caller, filename=wish.filename, now=now)
        fields = {"key": key} if key is not None else {}
        conditions: list[Condition] = []
        if rules.callback is not None:
            fields["callback"] = self._callback(rules.callback, prefix, key, caller, common)
            conditions.append(["eq", "$callback", fields["callback"]])
        if rules.content_types:
            conditions.append(_content_type_condition(rules, wish))
        return self._sign(prefix, key, self._documented, conditions, fields, common)

    def _at(self, credential: v4.Credential, now: datetime) -> _Common:
        common = self._common
        if common is None or common.credential is not credential or not common.second <= now < common.next_second:
            common = self._common = _common(self.rules, credential, now)
        return common

    def _callback(
        self, callback: CallbackField, prefix: str, key: str | None, caller: str | None, common: _Common
    ) -> str:
        scope = Scope(prefix if key is None else key, key is not None, caller, int(common.expires_at.timestamp()))
        return callback.text(scope, app_id=self._app_id, bucket=self.rules.bucket)

    def _sign(
        self,
        prefix: str,
        key: str | None,
        fixed: _Fixed,
        conditions: list[Condition],
        fields: dict[str, str],
        common: _Common,
    ) -> SignedUpload:
        rules = self.rules
        of_key = ["eq", "$key", key] if key is not None else ["starts-with", "$key", prefix]
        more = b"," + orjson.dumps(conditions)[1:-1] if conditions else b""
        rest = b"".join((common.head_rest, orjson.dumps(of_key), fixed.first, more, fixed.last))
        policy_rest = base64.b64encode(rest)
        policy = common.head_base64 + policy_rest.decode()
        digest = common.hash_of_head.copy()
        digest.update(policy_rest)
        fields |= common.auth
        fields["policy"] = policy
        fields["x-oss-signature"] = digest.hexdigest()
        return SignedUpload(rules.url, fields, prefix, key, common.expires_at, rules.max_size_bytes)


class _Fixed:
    """The part of a policy that no form of an app changes, as JSON: what stands before and behind what forms add."""

    __slots__ = ("first", "last")

    def __init__(self, first: list[Condition], last: Sequence[Condition]) -> None:
        self.first = b"," + orjson.dumps(first)[1:-1]
        self.last = (b"," + orjson.dumps(last)[1:] if last else b"]") + b"}"


@dataclass(frozen=True, slots=True)
class _Common:
    """What all forms have that one app gives out in one second with one credential.

    Their policies begin alike: with `expiration`, the bucket and the authorization, which is most of them for the token
    in it. That is put into Base64 and hashed once; Base64 goes by three bytes, and what is over is left to the rest.
    """

    credential: v4.Credential
    second: datetime
    next_second: datetime
    expires_at: datetime
    auth: dict[str, str] = field(repr=False)
    head_base64: str = field(repr=False)
    head_rest: bytes = field(repr=False)
    hash_of_head: hmac.HMAC = field(repr=False)


def _common(rules: UploadRules, credential: v4.Credential, now: datetime) -> _Common:
    """Forms never end after their credential. Raises `CredentialsUnavailable` when that is over."""
    second = now.replace(microsecond=0)
    expires_at = second + rules.expires
    if credential.expiration is not None:
        expires_at = min(expires_at, credential.expiration.replace(microsecond=0))
    if expires_at <= now:
        raise CredentialsUnavailable("the credential has ended; try again shortly", retry_after_seconds=1)
    x_oss_date = v4.format_date(second)
    auth = {
        "x-oss-signature-version": v4.SIGNATURE_VERSION,
        "x-oss-credential": v4.credential_scope(credential.access_key_id, x_oss_date, rules.region),
        "x-oss-date": x_oss_date,
    }
    if credential.security_token:
        auth["x-oss-security-token"] = credential.security_token
    head = orjson.dumps(
        {
            "expiration": f"{expires_at:%Y-%m-%dT%H:%M:%S}.000Z",
            "conditions": [{"bucket": rules.bucket}, *({name: value} for name, value in auth.items())],
        }
    ).removesuffix(b"]}")
    head += b","
    whole = len(head) // 3 * 3
    head_base64 = base64.b64encode(head[:whole])
    signing_key = v4.signing_key(credential.access_key_secret, x_oss_date[:8], rules.region)
    return _Common(
        credential,
        second,
        second + _ONE_SECOND,
        expires_at,
        auth,
        head_base64.decode(),
        head[whole:],
        hmac.new(signing_key, head_base64, "sha256"),
    )


def _pinned(fields: Mapping[str, str]) -> list[Condition]:
    return [["eq", f"${name.lower()}", value] for name, value in fields.items()]


def choose_content_type(rules: UploadRules, wish: Wish) -> str | None:
    """The one type to sign: the wish's own, else the file name's, else the app's only one; None where any will do.

    Raises `UnsupportedType` for a type the app does not take, `InvalidRequest` for none where one is needed.
    """
    wanted = wish.content_type
    if wanted is not None and not _is_media_type(wanted):
        raise InvalidRequest("content_type is no media type such as image/jpeg")
    if not rules.content_types:
        return wanted
    if wanted is None and wish.filename is not None:
        wanted = _TYPES.guess_type(wish.filename)[0]
    if wanted is None and len(rules.content_types) == 1 and "*" not in rules.content_types[0]:
        wanted = rules.content_types[0]
    if wanted is None:
        raise InvalidRequest(f"say content_type; this app takes {', '.join(rules.content_types)}")
    if not _takes(rules.content_types, wanted):
        raise UnsupportedType(f"this app takes {', '.join(rules.content_types)}")
    return wanted


@lru_cache(maxsize=1024)
def _is_media_type(text: str) -> bool:
    return len(text) <= 255 and _MEDIA_TYPE.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _takes(patterns: tuple[str, ...], content_type: str) -> bool:
    return any(_matches(pattern, content_type) for pattern in patterns)


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
    if rules.callback is None:
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
