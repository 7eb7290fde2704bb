"""Build and sign the policy document of a PostObject form.

See: https://help.aliyun.com/zh/oss/developer-reference/postobject
See: https://help.aliyun.com/zh/oss/developer-reference/signature-version-4-recommend
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from signer.signing import v4

Condition = list[Any] | dict[str, str]

_ONE_SECOND = timedelta(seconds=1)
_MAX_EXTENSIONS = 64
"""Of one head: clients of some apps choose any type."""


def exact_match_conditions(fields: Mapping[str, str]) -> list[Condition]:
    """Return one condition for each field, which allows no other value than the one given."""
    return [["eq", f"${name.lower()}", value] for name, value in fields.items()]


def serialize_conditions(conditions: Sequence[Condition]) -> bytes:
    """Return the conditions as JSON, each followed by a comma."""
    return orjson.dumps(conditions)[1:-1] + b"," if conditions else b""


@dataclass(frozen=True, slots=True, eq=False)
class PolicyHead:
    """The beginning of all policies that an app signs within one second with one credential.

    Those policies begin with the same bytes, and the security token makes this head most of each policy. So the head is
    Base64-encoded and hashed once, and each form encodes and hashes only its own conditions.
    """

    credential: v4.Credential
    second: datetime
    next_second: datetime
    expires_at: datetime
    fields: Mapping[str, str] = field(repr=False)
    """The form fields that go with this head, the same in all these forms."""
    fixed_fields: Mapping[str, str] = field(repr=False)
    """Those of them that do not belong to the signature."""
    base_fields: Mapping[str, str] = field(repr=False)
    """Those that all forms of the app have in this second, without those of `extended`."""
    base64: str = field(repr=False)
    unencoded: bytes = field(repr=False)
    """The last 0 to 2 bytes of the head, because Base64 encodes three bytes at a time."""
    signer: v4.CommonHeadSigner = field(repr=False)
    extensions: dict[str, PolicyHead] = field(default_factory=dict, repr=False)
    """By name, heads that begin with this one."""
    serialized: dict[bool, bytes] = field(default_factory=dict, repr=False)
    """The beginning of the responses with this head, kept here by the API."""

    def extended(self, name: str, fields: Mapping[str, str]) -> PolicyHead:
        """Return the head of policies that fix further fields, and keep it in `extensions`."""
        text = self.unencoded + serialize_conditions(exact_match_conditions(fields))
        encodable_bytes = len(text) // 3 * 3
        base64 = b2a_base64(text[:encodable_bytes], newline=False)
        head = replace(
            self,
            fields={**self.fields, **fields},
            fixed_fields={**self.fixed_fields, **fields},
            base64=self.base64 + base64.decode(),
            unencoded=text[encodable_bytes:],
            signer=self.signer.extended(base64),
            extensions={},
            serialized={},
        )
        if len(self.extensions) < _MAX_EXTENSIONS:
            self.extensions[name] = head
        return head

    def complete(self, conditions: bytes, key: str, *, is_exact_key: bool) -> tuple[bytes, str]:
        """Return what completes `base64` to a policy, and the signature of that policy.

        `conditions` are from `serialize_conditions`.
        """
        key_condition = b'["eq","$key",' if is_exact_key else b'["starts-with","$key",'
        rest = b"%b%b%b%b]]}" % (self.unencoded, conditions, key_condition, orjson.dumps(key))
        tail = b2a_base64(rest, newline=False)
        return tail, self.signer.sign(tail)


@dataclass(slots=True, eq=False)
class PolicyTemplate:
    """What all policies of one kind of an app's forms have in common; keeps the head of this second."""

    bucket: str
    region: str
    expires: timedelta
    fields: Mapping[str, str]
    """The fields of each form except those of the signature; likewise the conditions."""
    conditions: Sequence[Condition]
    _head: PolicyHead | None = field(default=None, init=False)

    def head(self, credential: v4.Credential, now: datetime) -> PolicyHead:
        """Return the head of policies that expire in time, or when the credential does if that is sooner.

        Raises `CredentialsUnavailable` if the credential has expired.
        """
        head = self._head
        if head is None or head.credential is not credential or not head.second <= now < head.next_second:
            head = self._head = self._sign(credential, now)
        return head

    def _sign(self, credential: v4.Credential, now: datetime) -> PolicyHead:
        second = now.replace(microsecond=0)
        expires_at = credential.limit(second + self.expires, now)
        x_oss_date = v4.format_date(second)
        signature_fields = v4.signature_parameters(credential, x_oss_date, self.region)
        simple_conditions = [{"bucket": self.bucket}, *({name: value} for name, value in signature_fields.items())]
        text = b'{"expiration":"%b","conditions":[%b' % (
            f"{expires_at:%Y-%m-%dT%H:%M:%S}.000Z".encode(),
            serialize_conditions([*simple_conditions, *self.conditions]),
        )
        encodable_bytes = len(text) // 3 * 3
        base64 = b2a_base64(text[:encodable_bytes], newline=False)
        signing_key = v4.signing_key(credential.access_key_secret, x_oss_date[:8], self.region)
        fields = {**self.fields, **signature_fields}
        return PolicyHead(
            credential,
            second,
            second + _ONE_SECOND,
            expires_at,
            fields,
            self.fields,
            fields,
            base64.decode(),
            text[encodable_bytes:],
            v4.CommonHeadSigner(signing_key, base64),
        )
