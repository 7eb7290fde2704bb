"""Build and sign the policy document of a PostObject form.

See: https://help.aliyun.com/zh/oss/developer-reference/postobject
See: https://help.aliyun.com/zh/oss/developer-reference/signature-version-4-recommend
"""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from signer.errors import CredentialsUnavailable
from signer.signing import v4

Condition = list[Any] | dict[str, str]

_ONE_SECOND = timedelta(seconds=1)


def exact_match_conditions(fields: Mapping[str, str]) -> list[Condition]:
    """Return one condition for each field, which allows no other value than the one given."""
    return [["eq", f"${name.lower()}", value] for name, value in fields.items()]


def serialize_conditions(conditions: Sequence[Condition]) -> bytes:
    """Return the conditions as JSON, each followed by a comma."""
    return orjson.dumps(conditions)[1:-1] + b"," if conditions else b""


def decode_policy(policy: str) -> dict[str, Any]:
    """Return the document of a Base64 policy, with its security token masked."""
    document: dict[str, Any] = json.loads(a2b_base64(policy))
    for condition in document["conditions"]:
        if "x-oss-security-token" in condition:
            condition["x-oss-security-token"] = "***"
    return document


@dataclass(frozen=True, slots=True)
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
    base64: str = field(repr=False)
    unencoded: bytes = field(repr=False)
    """The last 0 to 2 bytes of the head, because Base64 encodes three bytes at a time."""
    signer: v4.CommonHeadSigner = field(repr=False)

    def complete(self, conditions: bytes, key: str, *, is_exact_key: bool) -> tuple[str, str]:
        """Return the policy in Base64 and its signature.

        Args:
            conditions: Conditions of this form alone, from `serialize_conditions`.
            key: The object key that the form must use, or the prefix that its key must have.
        """
        key_condition = b'["eq","$key",' if is_exact_key else b'["starts-with","$key",'
        rest = b"%b%b%b%b]]}" % (self.unencoded, conditions, key_condition, orjson.dumps(key))
        rest_base64 = b2a_base64(rest, newline=False)
        return self.base64 + rest_base64.decode(), self.signer.sign(rest_base64)


def sign_policy_head(
    credential: v4.Credential,
    now: datetime,
    *,
    bucket: str,
    region: str,
    expires: timedelta,
    fields: Mapping[str, str],
    conditions: Sequence[Condition],
) -> PolicyHead:
    """Return the head of policies that expire after `expires`, or when the credential does if that is sooner.

    Args:
        fields: Form fields with a fixed value; those of the signature are added to them.
        conditions: The conditions of all these policies; those for the bucket and the signature are added to them.

    Raises:
        CredentialsUnavailable: The credential has expired.
    """
    second = now.replace(microsecond=0)
    expires_at = second + expires
    if credential.expiration is not None:
        expires_at = min(expires_at, credential.expiration.replace(microsecond=0))
    if expires_at <= now:
        raise CredentialsUnavailable("the credential has expired; try again shortly", retry_after_seconds=1)
    x_oss_date = v4.format_date(second)
    signature_fields = {
        "x-oss-signature-version": v4.SIGNATURE_VERSION,
        "x-oss-credential": v4.credential_scope(credential.access_key_id, x_oss_date, region),
        "x-oss-date": x_oss_date,
    }
    if credential.security_token:
        signature_fields["x-oss-security-token"] = credential.security_token
    simple_conditions = [{"bucket": bucket}, *({name: value} for name, value in signature_fields.items())]
    text = b'{"expiration":"%b","conditions":[%b' % (
        f"{expires_at:%Y-%m-%dT%H:%M:%S}.000Z".encode(),
        serialize_conditions([*simple_conditions, *conditions]),
    )
    encodable_bytes = len(text) // 3 * 3
    base64 = b2a_base64(text[:encodable_bytes], newline=False)
    signing_key = v4.signing_key(credential.access_key_secret, x_oss_date[:8], region)
    return PolicyHead(
        credential,
        second,
        second + _ONE_SECOND,
        expires_at,
        {**fields, **signature_fields},
        base64.decode(),
        text[encodable_bytes:],
        v4.CommonHeadSigner(signing_key, base64),
    )
