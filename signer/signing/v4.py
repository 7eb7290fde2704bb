"""OSS signature version 4 for PostObject: the credential, its scope, the signing key and the signature.

Rules: help page `signature-version-4-recommend` (PostObject), https://help.aliyun.com/zh/oss/developer-reference/.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

SIGNATURE_VERSION = "OSS4-HMAC-SHA256"
SCOPE_SUFFIX = "aliyun_v4_request"

_BLOCK_BYTES = 64
_INNER_PAD, _OUTER_PAD = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


@dataclass(frozen=True, slots=True)
class Credential:
    """An AccessKey pair and, when STS issued it, its security token and the moment it ends (UTC)."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)
    expiration: datetime | None = None


@lru_cache(maxsize=64)
def format_date(moment: datetime) -> str:
    """`x-oss-date`: the UTC moment as `YYYYMMDDTHHMMSSZ`."""
    return moment.strftime("%Y%m%dT%H%M%SZ")


def credential_scope(access_key_id: str, x_oss_date: str, region: str) -> str:
    """`x-oss-credential`: `<AccessKeyId>/<YYYYMMDD>/<region>/oss/aliyun_v4_request`, the region as a plain id."""
    return f"{access_key_id}/{x_oss_date[:8]}/{region}/oss/{SCOPE_SUFFIX}"


@lru_cache(maxsize=4096)
def signing_key(access_key_secret: str, day: str, region: str) -> bytes:
    """The key derived for one secret, UTC day (`YYYYMMDD`) and region; it changes once a day, so it is kept."""
    key = ("aliyun_v4" + access_key_secret).encode()
    for part in (day, region, "oss", SCOPE_SUFFIX):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class Signature:
    """HMAC-SHA256 over texts that begin alike, with the beginning hashed once; the text is a policy in Base64.

    These are the two hashes of RFC 2104. An `hmac.HMAC` can be copied too, but that takes half as long again.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, beginning: bytes) -> None:
        """`key` has at most 64 bytes, as a signing key does."""
        padded = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(padded.translate(_INNER_PAD) + beginning)
        self._outer = sha256(padded.translate(_OUTER_PAD))

    def with_rest(self, rest: bytes) -> str:
        """Lower-case hex, of the beginning and this."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(rest)
        outer.update(inner.digest())
        return outer.hexdigest()
