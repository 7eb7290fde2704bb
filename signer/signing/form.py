"""An app's signed forms: the PostObject policy, its signature, and the form fields that go with them.

Pure functions over plain values. Rules: help pages `postobject` (policy, conditions, form fields) and
`signature-version-4-recommend` (the fields that V4 wants in the policy). A field that no condition names is accepted
by OSS, so whatever a client must not change is pinned here by a condition of its own.
"""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from signer.errors import CredentialsUnavailable
from signer.signing import v4
from signer.signing.callback_field import CallbackField
from signer.signing.callback_proof import FormScope
from signer.signing.upload_rules import (
    EMPTY_REQUEST,
    Condition,
    UploadRequest,
    UploadRules,
    callback_variables,
    check_size,
    choose_content_type,
    content_type_condition,
    metadata,
)

_ONE_SECOND = timedelta(seconds=1)


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
        text = a2b_base64(self.fields["policy"]).decode()
        document: dict[str, Any] = json.loads(text)
        for condition in document["conditions"]:
            if "x-oss-security-token" in condition:
                condition["x-oss-security-token"] = "***"
        return document


class Forms:
    """One app's forms. What many of them have in common is worked out once, or once a second."""

    __slots__ = ("_app_id", "_documented", "_documented_for_all", "_same_for_all", "_whole", "rules")

    def __init__(self, app_id: str, rules: UploadRules) -> None:
        self.rules = rules
        self._app_id = app_id
        fixed = {
            "x-oss-object-acl": "default",
            **rules.headers,
            "success_action_status": str(rules.success_status),
        }
        self._whole = _Kind(rules, pinned=fixed, fields={**_raw_exact_fields(rules), **fixed})
        self._documented = _Kind(rules, pinned=rules.headers, fields={})
        self._same_for_all = rules.naming.is_same_for_all
        self._documented_for_all: tuple[_Common, SignedUpload] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Forms) and (self._app_id, self.rules) == (other._app_id, other.rules)

    def full_form(
        self, request: UploadRequest, *, caller: str | None, credential: v4.Credential, now: datetime
    ) -> SignedUpload:
        """The whole form: what the rules fix is in it and pinned, so that a client can change, drop or add none.

        Raises a `Problem` when the request breaks the rules.
        """
        rules = self.rules
        check_size(rules, request)
        prefix, key = rules.naming.keys(app_id=self._app_id, caller=caller, filename=request.filename, now=now)
        common = self._whole.at(credential, now)
        fields, conditions = _of_content_type(choose_content_type(rules, request))
        if rules.callback is not None or request.vars or request.meta:
            more = callback_variables(rules, request.vars) | metadata(rules, request.meta)
            if rules.callback is not None:
                more["callback"] = self._callback(rules.callback, prefix, key, caller, common)
            fields = {**fields, **more}
            conditions += _told(_pinned(more))
        return self._sign(common, prefix, key, fields, conditions)

    def sample_form(
        self, request: UploadRequest, *, caller: str | None, credential: v4.Credential, now: datetime
    ) -> SignedUpload:
        """The answer for a client that builds its own form, as Alibaba's sample does (help page 92883).

        Only what the YAML says is pinned: such a client sends no ACL and may send any success status. Where there is a
        callback, the client has to send that field.
        """
        common = self._documented.at(credential, now)
        for_all = request is EMPTY_REQUEST and caller is None and self._same_for_all
        if for_all and self._documented_for_all is not None and self._documented_for_all[0] is common:
            return self._documented_for_all[1]
        upload = self._sign_documented(request, caller, common, now)
        if for_all:
            self._documented_for_all = (common, upload)
        return upload

    def _sign_documented(
        self, request: UploadRequest, caller: str | None, common: _Common, now: datetime
    ) -> SignedUpload:
        rules = self.rules
        check_size(rules, request)
        prefix, key = rules.naming.keys(app_id=self._app_id, caller=caller, filename=request.filename, now=now)
        fields = {}
        conditions = b""
        if rules.callback is not None:
            fields["callback"] = self._callback(rules.callback, prefix, key, caller, common)
            conditions = _told(_pinned(fields))
        if rules.content_types:
            conditions += _told([content_type_condition(rules, request)])
        return self._sign(common, prefix, key, fields, conditions)

    def _callback(
        self, callback: CallbackField, prefix: str, key: str | None, caller: str | None, common: _Common
    ) -> str:
        scope = FormScope(prefix if key is None else key, key is not None, caller, int(common.expires_at.timestamp()))
        return callback.text(scope, app_id=self._app_id, bucket=self.rules.bucket)

    def _sign(
        self, common: _Common, prefix: str, key: str | None, fields: Mapping[str, str], conditions: bytes
    ) -> SignedUpload:
        """`fields` and `conditions` are those that this form has besides."""
        rules = self.rules
        of_key = b'["starts-with","$key",' if key is None else b'["eq","$key",'
        rest = b"%b%b%b%b]]}" % (common.head_rest, conditions, of_key, orjson.dumps(prefix if key is None else key))
        policy_rest = b2a_base64(rest, newline=False)
        signed = {
            "key": prefix + "${filename}" if key is None else key,
            **common.fields,
            **fields,
            "policy": common.head_base64 + policy_rest.decode(),
            "x-oss-signature": common.signature.sign(policy_rest),
        }
        return SignedUpload(rules.url, signed, prefix, key, common.expires_at, rules.max_size_bytes)


class _Kind:
    """The whole forms of an app, or its documented ones: what all have, and what those of this second have."""

    __slots__ = ("_common", "_conditions", "_fields", "_rules")

    def __init__(self, rules: UploadRules, *, pinned: Mapping[str, str], fields: Mapping[str, str]) -> None:
        """`fields` are those that each form has, `pinned` those that each has a condition for."""
        self._rules = rules
        self._fields = fields
        self._conditions = [
            ["content-length-range", rules.min_size_bytes, rules.max_size_bytes],
            *_pinned(pinned),
            *rules.conditions,
        ]
        self._common: _Common | None = None

    def at(self, credential: v4.Credential, now: datetime) -> _Common:
        """Forms never end after their credential. Raises `CredentialsUnavailable` when that is over."""
        common = self._common
        if common is None or common.credential is not credential or not common.second <= now < common.next_second:
            common = self._common = self._made(credential, now)
        return common

    def _made(self, credential: v4.Credential, now: datetime) -> _Common:
        rules = self._rules
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
        conditions = [{"bucket": rules.bucket}, *({name: value} for name, value in auth.items()), *self._conditions]
        head = b'{"expiration":"%b","conditions":[%b' % (
            f"{expires_at:%Y-%m-%dT%H:%M:%S}.000Z".encode(),
            _told(conditions),
        )
        whole = len(head) // 3 * 3
        head_base64 = b2a_base64(head[:whole], newline=False)
        signing_key = v4.signing_key(credential.access_key_secret, x_oss_date[:8], rules.region)
        return _Common(
            credential,
            second,
            second + _ONE_SECOND,
            expires_at,
            {**self._fields, **auth},
            head_base64.decode(),
            head[whole:],
            v4.CommonHeadSigner(signing_key, head_base64),
        )


@dataclass(frozen=True, slots=True)
class _Common:
    """What all forms of one kind have that an app gives out in one second with one credential.

    Their policies begin alike; only what a request asks for and the key come behind it. That beginning is most of a
    policy, for the token in it. It is put into Base64 and hashed once; Base64 goes by three bytes, and what is over is
    left to the rest.
    """

    credential: v4.Credential
    second: datetime
    next_second: datetime
    expires_at: datetime
    fields: Mapping[str, str] = field(repr=False)
    head_base64: str = field(repr=False)
    head_rest: bytes = field(repr=False)
    signature: v4.CommonHeadSigner = field(repr=False)


@lru_cache(maxsize=1024)
def _of_content_type(content_type: str | None) -> tuple[Mapping[str, str], bytes]:
    """The fields that say it, and their conditions.

    For the stored type OSS looks at x-oss-content-type first; pinning both leaves no way round.
    """
    if content_type is None:
        return {}, b""
    fields = {"x-oss-content-type": content_type, "Content-Type": content_type}
    return fields, _told(_pinned(fields))


def _told(conditions: Sequence[Condition]) -> bytes:
    """As JSON, for more to come behind them."""
    return orjson.dumps(conditions)[1:-1] + b"," if conditions else b""


def _pinned(fields: Mapping[str, str]) -> list[Condition]:
    return [["eq", f"${name.lower()}", value] for name, value in fields.items()]


def _raw_exact_fields(rules: UploadRules) -> dict[str, str]:
    """The fields whose value a raw condition leaves no choice about."""
    return {
        condition[1].removeprefix("$"): condition[2]
        for condition in rules.conditions
        if isinstance(condition, list) and condition[0] == "eq"
    }
