"""Presigns URLs from the documentation alone, with additional headers, which the SDK's own presigner leaves out.

See: https://help.aliyun.com/zh/oss/developer-reference/add-signatures-to-urls
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

from yarl import URL

from tests.localcloud.forms import Key

_SIGNED_BY_DEFAULT = ("content-type", "content-md5")


def presigned(
    oss: str,
    method: str,
    key: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    *,
    signer: Key = Key(),  # noqa: B008
    bucket: str = "photos",
    expires_seconds: int = 3600,
) -> URL:
    """Return the URL of a request that must send these headers, which have lower-case names."""
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{date[:8]}/cn-hangzhou/oss/aliyun_v4_request"
    additional = ";".join(
        sorted(name for name in headers if name not in _SIGNED_BY_DEFAULT and not name.startswith("x-oss-"))
    )
    given = {
        **query,
        "x-oss-signature-version": "OSS4-HMAC-SHA256",
        "x-oss-credential": f"{signer.id}/{scope}",
        "x-oss-date": date,
        "x-oss-expires": str(expires_seconds),
        "x-oss-additional-headers": additional,
        "x-oss-security-token": signer.token or "",
    }
    pairs = sorted(
        (quote(name, safe=""), quote(value, safe="")) for name, value in given.items() if value or name in query
    )
    text = "&".join(f"{name}={value}" if value else name for name, value in pairs)
    lines = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    canonical = f"{method}\n/{bucket}/{quote(key)}\n{text}\n{lines}\n{additional}\nUNSIGNED-PAYLOAD"
    to_sign = f"OSS4-HMAC-SHA256\n{date}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    signing = f"aliyun_v4{signer.secret}".encode()
    for part in scope.split("/"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    signature = hmac.digest(signing, to_sign.encode(), "sha256").hex()
    return URL(f"{oss}/{bucket}/{quote(key)}?{text}&x-oss-signature={signature}", encoded=True)
