"""ListObjects and ListObjectsV2.

See: https://help.aliyun.com/zh/oss/developer-reference/listobjects and .../listobjectsv2
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from aiohttp import web

from localcloud.listing import Page, encoder, limit, page_of
from localcloud.object_headers import is_true
from localcloud.objects import Objects, StoredObject
from localcloud.oss_errors import OssError, invalid_argument
from localcloud.oss_request import OssRequest
from localcloud.oss_xml import elements, oss_time, xml_response
from localcloud.ownership import OWNER

_DEFAULT_KEYS = 100
_MAX_KEYS_EC = "0017-00000106"


async def list_objects(objects: Objects, request: OssRequest) -> web.Response:
    query = request.query
    encode, encoding = encoder(query)
    most = limit(query, "max-keys", _DEFAULT_KEYS, _MAX_KEYS_EC)
    marker = query.get("marker", "")
    page = _page(objects, request, most, marker)
    members = {
        "Name": request.bucket.name,
        "Prefix": encode(query.get("prefix", "")),
        "Marker": encode(marker),
        "MaxKeys": most,
        "Delimiter": encode(query.get("delimiter", "")),
        "EncodingType": encoding,
        "IsTruncated": page.is_truncated,
        "NextMarker": encode(_last_key(page)) if page.is_truncated else None,
    }
    return _response(elements(members), page, encode, with_owner=True)


async def list_objects_v2(objects: Objects, request: OssRequest) -> web.Response:
    query = request.query
    if query["list-type"] != "2":
        raise invalid_argument("The list-type is invalid.", "", "list-type", query["list-type"])
    encode, encoding = encoder(query)
    most = limit(query, "max-keys", _DEFAULT_KEYS, _MAX_KEYS_EC)
    token, start_after = query.get("continuation-token"), query.get("start-after", "")
    page = _page(objects, request, most, start_after if token is None else _decode(token))
    members = {
        "Name": request.bucket.name,
        "Prefix": encode(query.get("prefix", "")),
        "MaxKeys": most,
        "Delimiter": encode(query.get("delimiter", "")),
        "StartAfter": encode(start_after) or None,
        "EncodingType": encoding,
        "IsTruncated": page.is_truncated,
        "KeyCount": len(page.entries) + len(page.prefixes),
        "ContinuationToken": token,
        "NextContinuationToken": _encode(_last_key(page)) if page.is_truncated else None,
    }
    return _response(elements(members), page, encode, with_owner=is_true(query, "fetch-owner"))


def _page(objects: Objects, request: OssRequest, most: int, after: str) -> Page[StoredObject]:
    prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
    behind = ((each.key, each) for each in objects.list(request.bucket.name, prefix) if each.key > after)
    return page_of(behind, most=most, prefix=prefix, delimiter=delimiter, after=after)


def _last_key(page: Page[StoredObject]) -> str:
    return page.last.key if isinstance(page.last, StoredObject) else page.last or ""


def _response(
    members: str, page: Page[StoredObject], encode: Callable[[str], str], *, with_owner: bool
) -> web.Response:
    contents = "".join(_contents(each, encode(each.key), OWNER if with_owner else "") for each in page.entries)
    return xml_response(f"<ListBucketResult>{members}{contents}{page.prefix_elements(encode)}</ListBucketResult>")


def _contents(stored: StoredObject, key: str, owner: str) -> str:
    members = elements(
        {
            "Key": key,
            "LastModified": oss_time(stored.last_modified),
            "ETag": stored.etag,
            "Type": stored.object_type,
            "Size": stored.size_bytes,
            "StorageClass": stored.storage_class,
        }
    )
    return f"<Contents>{members}{owner}</Contents>"


def _encode(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _decode(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise _invalid_token(token) from None


def _invalid_token(token: str) -> OssError:
    return invalid_argument("The continuation-token is invalid.", "", "continuation-token", token)
