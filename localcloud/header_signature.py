"""Verifies a V4 signature in the Authorization header or in a presigned URL. v1_signature.py verifies those of V1.

See: https://help.aliyun.com/zh/oss/developer-reference/recommend-to-use-signature-version-4
See: https://help.aliyun.com/zh/oss/developer-reference/add-signatures-to-urls
Each EC has a page of its own, such as https://help.aliyun.com/zh/oss/user-guide/0002-00000226
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote

from aiohttp import web

from localcloud.bucket_queries import region_of_host
from localcloud.http_dates import parse_http_date
from localcloud.integers import parse_integer
from localcloud.operation import SIGNATURE_PARAMETERS, Operation
from localcloud.oss_errors import OssError, denied, invalid_argument
from localcloud.post_signature import Signer, signer_of
from localcloud.v1_signature import SCHEME, verify_header, verify_url
from localcloud.world import Bucket, World

_VERSION = "OSS4-HMAC-SHA256"
_V4_URL = frozenset(name for name in SIGNATURE_PARAMETERS if name.startswith("x-oss-"))
_PAYLOAD = "UNSIGNED-PAYLOAD"
_SKEW = timedelta(minutes=15)
_MAX_EXPIRES_SECONDS = 7 * 24 * 60 * 60
_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)
_DAY = re.compile(r"[0-9]{8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Scope:
    key_id: str
    day: str
    region: str

    def __str__(self) -> str:
        return f"{self.day}/{self.region}/oss/aliyun_v4_request"


def authorize(
    world: World, request: web.Request, query: Mapping[str, str], bucket: Bucket, key: str, operation: Operation
) -> Signer | None:
    """Return the signer; None for a request without a signature.

    Raise `OssError` if the signature is wrong, its signer lacks the permission, or the operation needs a signature.
    """
    if operation.name == "GetBucketInfo":
        # Every region's endpoint serves it, so the endpoint's own region counts.
        bucket = replace(bucket, region=region_of_host(request.host) or signing_region(request, query) or bucket.region)
    signer = _verify(world, request, query, bucket, key)
    if signer is None:
        if not operation.is_public and not operation.is_publicly_writable:
            raise denied("You have no right to access this object because of bucket acl.", "0003-00000001")
    elif operation.on_object:
        signer.check_permission(operation.ram_action, bucket.name, key)
    else:
        signer.check_resource(operation.ram_action, f"acs:oss:*:*:{bucket.name or '*'}")
    return signer


def is_signed(request: web.Request, query: Mapping[str, str]) -> bool:
    """Return whether the request has a signature of any version, valid or not."""
    return "Authorization" in request.headers or bool(SIGNATURE_PARAMETERS & query.keys())


def _verify(world: World, request: web.Request, query: Mapping[str, str], bucket: Bucket, key: str) -> Signer | None:
    """Return the signer; None if the request has no signature. Raise `OssError` as OSS does."""
    if "Authorization" in request.headers and SIGNATURE_PARAMETERS & query.keys():
        message = "The signature must be either in the Authorization header or in the URL."
        raise invalid_argument(message, "0002-00000039", "Authorization", request.headers["Authorization"])
    if "Authorization" in request.headers:
        by_header = verify_header if request.headers["Authorization"].startswith(SCHEME) else _by_header
        return by_header(world, request, query, bucket, key)
    if _V4_URL & query.keys():
        return _by_url(world, request, query, bucket, key)
    if SIGNATURE_PARAMETERS & query.keys():
        return verify_url(world, request, query, bucket, key)
    return None


def _by_header(world: World, request: web.Request, query: Mapping[str, str], bucket: Bucket, key: str) -> Signer:
    version, _, rest = request.headers["Authorization"].partition(" ")
    if version != _VERSION:
        raise _invalid_header("Authorization header is invalid.", "0002-00000061", version)
    given = dict(pair.strip().partition("=")[::2] for pair in rest.split(","))
    if "Credential" not in given:
        raise _invalid_header("Authorization header misses Credential.", "0002-00000205", rest)
    if not given.get("Signature") or not given.keys() <= {"Credential", "AdditionalHeaders", "Signature"}:
        raise _invalid_header("Authorization header is invalid.", "0002-00000202", rest)
    if given.get("AdditionalHeaders") == "":
        raise _invalid_header("AdditionalHeaders in Authorization header is blank.", "0002-00000209", rest)
    payload = request.headers.get("x-oss-content-sha256", "")
    if payload != _PAYLOAD:
        raise invalid_argument("x-oss-content-sha256 is invalid.", "0002-00000214", "x-oss-content-sha256", payload)
    scope = _header_scope(given["Credential"], bucket)
    date = _header_date(request)
    if date[:8] != scope.day:
        raise _invalid_header("The date in Authorization header is invalid.", "0002-00000212", given["Credential"])
    if abs(world.now() - _moment(date)) > _SKEW:
        raise _skewed()
    signer = signer_of(world, scope.key_id, request.headers.get("x-oss-security-token"), world.now())
    additional = given.get("AdditionalHeaders", "")
    if (missing := _missing_header(request, additional)) is not None:
        ec = "0002-00000211" if missing.strip() else "0002-00000210"
        raise _invalid_header(f"The request misses the additional header {missing}.", ec, rest)
    canonical = _canonical(request, query, bucket, key, additional)
    _compare(signer, scope, date, canonical, given["Signature"])
    return signer


def _by_url(world: World, request: web.Request, query: Mapping[str, str], bucket: Bucket, key: str) -> Signer:
    version = query.get("x-oss-signature-version", "")
    if version != _VERSION:
        raise invalid_argument("The signature version is invalid.", "0002-00000066", "x-oss-signature-version", version)
    if query.get("x-oss-additional-headers") == "":
        raise invalid_argument("x-oss-additional-headers is blank.", "0002-00000076", "x-oss-additional-headers")
    scope = _url_scope(query.get("x-oss-credential"), bucket)
    date = query.get("x-oss-date", "")
    if not _DATE.fullmatch(date) or date[:8] != scope.day:
        raise invalid_argument("The x-oss-date is invalid.", "0002-00000223", "x-oss-date", date)
    _check_expiry(query.get("x-oss-expires"), _moment(date), world.now())
    signer = signer_of(world, scope.key_id, query.get("x-oss-security-token"), world.now())
    signed = {name: value for name, value in query.items() if name != "x-oss-signature"}
    additional = query.get("x-oss-additional-headers", "")
    if _missing_header(request, additional) is not None:
        message = "The request misses an additional header."
        raise invalid_argument(message, "0002-00000077", "x-oss-additional-headers", additional)
    canonical = _canonical(request, signed, bucket, key, additional)
    _compare(signer, scope, date, canonical, query.get("x-oss-signature", ""))
    return signer


def _check_expiry(expires: str | None, signed_at: datetime, now: datetime) -> None:
    if expires is None:
        raise invalid_argument("The URL misses x-oss-expires.", "0002-00000215", "x-oss-expires")
    seconds = parse_integer(expires, _MAX_EXPIRES_SECONDS)
    if not seconds:
        raise invalid_argument("The x-oss-expires is invalid.", "0002-00000232", "x-oss-expires", expires)
    if signed_at - now > _SKEW:
        raise _skewed()
    if now > signed_at + timedelta(seconds=seconds):
        raise denied("Request has expired.", "0002-00000236")


def _missing_header(request: web.Request, additional_headers: str) -> str | None:
    """Return the first of the additional headers that the request does not have; None if it has all."""
    names = additional_headers.split(";") if additional_headers else []
    return next((name for name in names if name not in request.headers or "_" in name), None)


def _canonical(
    request: web.Request, query: Mapping[str, str], bucket: Bucket, key: str, additional_headers: str
) -> str:
    """Return the canonical request: method, resource, query, signed headers, names of additional headers, payload."""
    additional = sorted({name.lower() for name in additional_headers.split(";") if name})
    names = {name.lower() for name in request.headers}
    signed = {name for name in names if name.startswith("x-oss-") or name in ("content-type", "content-md5")}
    headers = "".join(
        f"{name}:{request.headers[name].strip()}\n" for name in sorted(signed | (names & set(additional)))
    )
    parameters = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in query.items())
    return "\n".join(
        (
            request.method,
            quote(f"/{bucket.name}/{key}" if bucket.name else "/", safe="/~"),
            "&".join(f"{name}={value}" if value else name for name, value in parameters),
            headers,
            ";".join(additional),
            _PAYLOAD,
        )
    )


def _compare(signer: Signer, scope: _Scope, date: str, canonical: str, given: str) -> None:
    to_sign = f"{_VERSION}\n{date}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    signing = ("aliyun_v4" + signer.secret).encode()
    for part in str(scope).split("/"):
        signing = hmac.digest(signing, part.encode(), sha256)
    if not hmac.compare_digest(hmac.digest(signing, to_sign.encode(), sha256).hex().encode(), given.encode()):
        message = (
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method."
        )
        raise OssError(403, "SignatureDoesNotMatch", message, "0002-00000201")


def signing_region(request: web.Request, query: Mapping[str, str]) -> str | None:
    """Return the region in the credential of a header or of a URL; None if there is none."""
    match = re.search(r"Credential=[^/,]+/[^/,]+/([^/,]+)/", request.headers.get("Authorization", ""))
    found = match[1] if match else "/".join(query.get("x-oss-credential", "").split("/")[2:3])
    return None if not found or found.startswith("oss-") else found


def _header_scope(credential: str, bucket: Bucket) -> _Scope:
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aliyun_v4_request":
        raise _invalid_header("Invalid Credential in Authorization header.", "0002-00000213", credential)
    if not _DAY.fullmatch(parts[1]):
        raise _invalid_header("Invalid signing date in Authorization header.", "0002-00000212", credential)
    if parts[2] != bucket.region:
        raise _invalid_header("Invalid signing region in Authorization header.", "0002-00000226", credential)
    if parts[3] != "oss":
        raise _invalid_header("Invalid signing product in Authorization header.", "0002-00000227", credential)
    return _Scope(*parts[:3])


def _url_scope(credential: str | None, bucket: Bucket) -> _Scope:
    name = "x-oss-credential"
    if credential is None:
        raise invalid_argument("The URL misses x-oss-credential.", "0002-00000217", name)
    parts = credential.split("/")
    if len(parts) != 5 or parts[3:] != ["oss", "aliyun_v4_request"]:
        raise invalid_argument("The credential is invalid.", "0002-00000224", name, credential)
    if not _DAY.fullmatch(parts[1]):
        raise invalid_argument("The date in credential is invalid.", "0002-00000223", name, credential)
    if parts[2] != bucket.region:
        raise invalid_argument("The signing region in credential is invalid.", "0002-00000228", name, credential)
    return _Scope(*parts[:3])


def _header_date(request: web.Request) -> str:
    """Return `x-oss-date`, or the Date header in the same format."""
    date = request.headers.get("x-oss-date")
    if date is None and "Date" in request.headers:
        moment = parse_http_date(request.headers["Date"])
        date = None if moment is None else moment.strftime("%Y%m%dT%H%M%SZ")
    if date is None or not _DATE.fullmatch(date):
        raise denied("OSS authentication requires a valid Date.", "0002-00000503")
    return date


def _moment(date: str) -> datetime:
    try:
        return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise denied("OSS authentication requires a valid Date.", "0002-00000503") from None


def _invalid_header(message: str, ec: str, value: str) -> OssError:
    return invalid_argument(message, ec, "Authorization", value)


def _skewed() -> OssError:
    message = "The difference between the request time and the current time is too large."
    return OssError(403, "RequestTimeTooSkewed", message, "0002-00000504")
