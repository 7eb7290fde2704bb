"""OSS signature version 4: the credential, its scope, the signing key and the signature of a policy.

See: https://help.aliyun.com/zh/oss/developer-reference/signature-version-4-recommend
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from signer.errors import CredentialsUnavailable

SIGNATURE_VERSION = "OSS4-HMAC-SHA256"
SCOPE_SUFFIX = "aliyun_v4_request"

_BLOCK_BYTES = 64
_INNER_PAD, _OUTER_PAD = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


@dataclass(frozen=True, slots=True)
class Credential:
    """An AccessKey pair; one that STS issued also has a security token and an expiration (UTC)."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)
    expiration: datetime | None = None

    def limit(self, expires_at: datetime, now: datetime) -> datetime:
        """Return when a signature ends: at `expires_at`, or with the credential if that is sooner, in whole seconds.

        Raises `CredentialsUnavailable` if the credential has expired.
        """
        if self.expiration is not None:
            expires_at = min(expires_at, self.expiration.replace(microsecond=0))
        if expires_at <= now:
            raise CredentialsUnavailable(
                "the credential has expired; retry after the seconds in Retry-After", retry_after_seconds=1
            )
        return expires_at


@lru_cache(maxsize=64)
def format_date(moment: datetime) -> str:
    """Return `x-oss-date`: the UTC moment as `YYYYMMDDTHHMMSSZ`."""
    return moment.strftime("%Y%m%dT%H%M%SZ")


def date_scope(x_oss_date: str, region: str) -> str:
    """Return `<YYYYMMDD>/<region>/oss/aliyun_v4_request`; the region is a plain id such as `cn-hangzhou`."""
    return f"{x_oss_date[:8]}/{region}/oss/{SCOPE_SUFFIX}"


def signature_parameters(credential: Credential, x_oss_date: str, region: str) -> dict[str, str]:
    """Return the form fields, or query parameters, that a signature needs."""
    parameters = {
        "x-oss-signature-version": SIGNATURE_VERSION,
        "x-oss-credential": f"{credential.access_key_id}/{date_scope(x_oss_date, region)}",
        "x-oss-date": x_oss_date,
    }
    if credential.security_token:
        parameters["x-oss-security-token"] = credential.security_token
    return parameters


@lru_cache(maxsize=4096)
def signing_key(access_key_secret: str, day: str, region: str) -> bytes:
    """Return the signing key of one secret, UTC day (`YYYYMMDD`) and region."""
    key = ("aliyun_v4" + access_key_secret).encode()
    for part in (day, region, "oss", SCOPE_SUFFIX):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class CommonHeadSigner:
    """Signs texts that have a common head with HMAC-SHA256, and hashes this head only once.

    This computes the two hashes of RFC 2104 itself, because copying an `hmac.HMAC` costs half as much again.

    See: https://www.rfc-editor.org/rfc/rfc2104#section-2
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, head: bytes) -> None:
        padded = key.ljust(_BLOCK_BYTES, b"\0")  # A longer key would be hashed first; a signing key has 32 bytes.
        self._inner = sha256(padded.translate(_INNER_PAD) + head)
        self._outer = sha256(padded.translate(_OUTER_PAD))

    def extended(self, rest: bytes) -> CommonHeadSigner:
        """Return a signer of texts that begin with the head followed by `rest`."""
        signer = object.__new__(CommonHeadSigner)
        signer._inner, signer._outer = self._inner.copy(), self._outer
        signer._inner.update(rest)
        return signer

    def sign(self, rest: bytes) -> str:
        """Return the signature of the head followed by `rest`, in lower-case hex."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(rest)
        outer.update(inner.digest())
        return outer.hexdigest()
