"""Presign a URL: put a V4 signature into the query string of one request to OSS.

See: https://help.aliyun.com/zh/oss/developer-reference/add-signatures-to-urls
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from urllib.parse import quote

from signer.signing import v4
from signer.signing.upload_rules import UploadRules

MAX_EXPIRES_SECONDS = 7 * 86400

_NO_VALUES: Mapping[str, str] = MappingProxyType({})
_ALWAYS_SIGNED = ("content-type", "content-md5")
"""OSS includes these headers, and each `x-oss-*` header, in the signature whenever a request has them."""


@dataclass(frozen=True, slots=True)
class SignedDownload:
    """A URL from which anyone can read one object until `expires_at`."""

    url: str = field(repr=False)
    expires_at: datetime


def sign_download(
    rules: UploadRules, key: str, *, expires: timedelta, credential: v4.Credential, now: datetime
) -> SignedDownload:
    """Return a URL that reads `key` until it expires, or until the credential does if that is sooner.

    Raises `CredentialsUnavailable` if the credential has expired.
    """
    signed_at = now.replace(microsecond=0)
    expires_at = credential.limit(signed_at + expires, now)
    url = presign(
        "GET",
        rules.url,
        bucket=rules.bucket,
        key=key,
        region=rules.region,
        credential=credential,
        signed_at=signed_at,
        expires_seconds=int((expires_at - signed_at).total_seconds()),
    )
    return SignedDownload(url, expires_at)


def presign(
    method: str,
    bucket_url: str,
    *,
    bucket: str,
    key: str,
    region: str,
    credential: v4.Credential,
    signed_at: datetime,
    expires_seconds: int,
    headers: Mapping[str, str] = _NO_VALUES,
    query: Mapping[str, str] = _NO_VALUES,
) -> str:
    """Return the presigned URL of one request for one object.

    `bucket_url` has no slash at its end. `expires_seconds`, 1 to 604,800 (7 days), count from `signed_at` in UTC.
    The client must send `headers` exactly like this; `x-oss-additional-headers` lists those that OSS would not check
    otherwise. `query` are further parameters, such as `x-oss-process`, `partNumber` or `uploadId`.

    See: https://help.aliyun.com/zh/oss/developer-reference/signature-version-4-recommend
    """
    if not 1 <= expires_seconds <= MAX_EXPIRES_SECONDS:
        raise ValueError(f"a presigned URL is valid for 1 to {MAX_EXPIRES_SECONDS} seconds, not {expires_seconds}")
    date = v4.format_date(signed_at)
    sent = {name.lower(): value.strip() for name, value in headers.items()}
    additional = sorted(name for name in sent if name not in _ALWAYS_SIGNED and not name.startswith("x-oss-"))
    parameters = {**query, **v4.signature_parameters(credential, date, region), "x-oss-expires": str(expires_seconds)}
    additional_headers = ";".join(additional)
    if additional_headers:
        parameters["x-oss-additional-headers"] = additional_headers
    query_text = _canonical_query(parameters)
    header_text = "".join(f"{name}:{value}\n" for name, value in sorted(sent.items()))
    payload_hash = sent.get("x-oss-content-sha256", "UNSIGNED-PAYLOAD")
    canonical_request = "\n".join(
        (method, quote(f"/{bucket}/{key}"), query_text, header_text, additional_headers, payload_hash)
    )
    hashed_request = sha256(canonical_request.encode()).hexdigest()
    string_to_sign = "\n".join((v4.SIGNATURE_VERSION, date, v4.date_scope(date, region), hashed_request))
    signing_key = v4.signing_key(credential.access_key_secret, date[:8], region)
    signature = hmac.digest(signing_key, string_to_sign.encode(), "sha256").hex()
    return f"{bucket_url}/{quote(key)}?{query_text}&x-oss-signature={signature}"


def _canonical_query(parameters: Mapping[str, str]) -> str:
    encoded = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" if value else name for name, value in encoded)
