"""Verifies a V1 signature in the Authorization header or in a URL.

See: https://help.aliyun.com/zh/oss/developer-reference/include-signatures-in-the-authorization-header
See: https://help.aliyun.com/zh/oss/developer-reference/ddd-signatures-to-urls
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from aiohttp import web

from localcloud.http_dates import parse_http_date
from localcloud.integers import parse_integer
from localcloud.oss_errors import OssError, denied, invalid_argument
from localcloud.post_signature import Signer, signer_of
from localcloud.world import Bucket, World

SCHEME = "OSS "

_SKEW = timedelta(minutes=15)
_MAX_INTEGER = 2**63 - 1
_MAX_SECONDS = 10**11
"""A time in the year 5138: every later one can be formatted no more."""
_SIGNED_PARAMETERS = frozenset(
    {
        "acl",
        "append",
        "bucketInfo",
        "callback",
        "callback-var",
        "cname",
        "comp",
        "continuation-token",
        "cors",
        "delete",
        "encryption",
        "endTime",
        "img",
        "inventory",
        "inventoryId",
        "lifecycle",
        "live",
        "location",
        "logging",
        "objectMeta",
        "partNumber",
        "policy",
        "position",
        "qos",
        "qosInfo",
        "referer",
        "regionList",
        "replication",
        "replicationLocation",
        "replicationProgress",
        "requestPayment",
        "resourceGroup",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "security-token",
        "sequential",
        "startTime",
        "stat",
        "status",
        "style",
        "styleName",
        "symlink",
        "tagging",
        "transferAcceleration",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "vod",
        "website",
        "worm",
        "wormExtend",
        "wormId",
        "x-oss-async-process",
        "x-oss-process",
        "x-oss-request-payer",
        "x-oss-traffic-limit",
    }
)
"""The query parameters that are part of the resource."""


def verify_header(world: World, request: web.Request, query: Mapping[str, str], bucket: Bucket, key: str) -> Signer:
    """Return the signer of `Authorization: OSS AccessKeyId:Signature`. Raise `OssError` as OSS does."""
    _check_account(world)
    key_id, _, signature = request.headers["Authorization"].removeprefix(SCHEME).partition(":")
    if not key_id or not signature:
        raise invalid_argument("Authorization header is invalid.", "0002-00000062", "Authorization", key_id)
    date = request.headers.get("x-oss-date") or request.headers.get("Date") or ""
    if abs(world.now() - _moment(date)) > _SKEW:
        message = "The difference between the request time and the current time is too large."
        raise OssError(403, "RequestTimeTooSkewed", message, "0002-00000504")
    signer = signer_of(world, key_id, request.headers.get("x-oss-security-token"), world.now())
    _compare(request, query, bucket, key, signer, date, signature)
    return signer


def verify_url(world: World, request: web.Request, query: Mapping[str, str], bucket: Bucket, key: str) -> Signer:
    """Return the signer of a URL with OSSAccessKeyId, Expires and Signature. Raise `OssError` as OSS does."""
    _check_account(world)
    for name, ec in (("OSSAccessKeyId", ""), ("Expires", "0002-00000067"), ("Signature", "")):
        if name not in query:
            raise denied(f"The URL misses {name}, which a V1 signature needs.", ec)
        if not query[name]:
            raise denied(f"The parameter {name} of the URL is blank.", "0002-00000068" if ec else "")
    expires = query["Expires"]
    seconds = parse_integer(expires, _MAX_INTEGER)
    if seconds is None:
        raise denied("Invalid date (should be seconds since epoch).", "0002-00000070")
    if world.now() > datetime.fromtimestamp(min(seconds, _MAX_SECONDS), UTC):
        raise denied("Request has expired.", "0002-00000069")
    signer = signer_of(world, query["OSSAccessKeyId"], query.get("security-token"), world.now())
    _compare(request, query, bucket, key, signer, expires, query["Signature"])
    return signer


def _check_account(world: World) -> None:
    """V1 is closed to accounts that are new since 2025-03-01."""
    if world.new_account:
        raise invalid_argument("New accounts must use OSS signature version 4.", "", "Authorization")


def _compare(
    request: web.Request,
    query: Mapping[str, str],
    bucket: Bucket,
    key: str,
    signer: Signer,
    date: str,
    signature: str,
) -> None:
    headers = request.headers
    names = sorted({name.lower() for name in headers if name.lower().startswith("x-oss-")})
    signed = sorted((name, value) for name, value in query.items() if name in _SIGNED_PARAMETERS)
    parameters = "&".join(f"{name}={value}" if value else name for name, value in signed)
    resource = f"/{bucket.name}/{key}" if bucket.name else "/"
    text = "\n".join(
        (
            request.method,
            headers.get("Content-MD5", ""),
            headers.get("Content-Type", ""),
            date,
            "".join(f"{name}:{headers[name].strip()}\n" for name in names)
            + resource
            + (f"?{parameters}" if parameters else ""),
        )
    )
    expected = base64.b64encode(hmac.digest(signer.secret.encode(), text.encode(), "sha1"))
    if not hmac.compare_digest(expected, signature.encode()):
        message = (
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method."
        )
        raise OssError(403, "SignatureDoesNotMatch", message, more=(("StringToSign", text),))


def _moment(date: str) -> datetime:
    moment = parse_http_date(date)
    if moment is None:
        raise denied("OSS authentication requires a valid Date.", "0002-00000503")
    return moment
