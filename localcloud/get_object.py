"""GetObject and HeadObject: headers of the object, conditional requests and ranges.

See: https://help.aliyun.com/zh/oss/developer-reference/getobject and .../headobject
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import BinaryIO

from aiohttp import web

from localcloud.http_dates import http_date, parse_http_date
from localcloud.image_process import PARAMETER, parse_process, process_image
from localcloud.object_headers import ARCHIVES, check_header
from localcloud.objects import Objects, StoredObject
from localcloud.oss_errors import OssError, invalid_argument
from localcloud.oss_request import OssRequest
from localcloud.symlink_target import follow
from localcloud.world import World

_CHUNK_BYTES = 256 * 1024
_RESPONSE = "response-"
_OF_THE_SOURCE = ("ETag", "Accept-Ranges", "x-oss-hash-crc64ecma")
_RANGE = re.compile(r"bytes=(?:([0-9]{1,19})-([0-9]{0,19})|-([0-9]{1,19}))", re.ASCII)


async def get_object(world: World, objects: Objects, request: OssRequest) -> web.Response:
    key, stored = follow(world, objects, request, find(objects, request.bucket.name, request.key))
    check_readable(objects, request.bucket.name, key)
    headers = _headers(stored)
    if is_unmodified(request.headers, stored):
        return web.Response(status=304, headers=headers)
    headers |= _requested_headers(request)
    if PARAMETER in request.query:
        process = parse_process(request.query[PARAMETER])
        source = objects.file(request.bucket.name, key)
        content, content_type = await asyncio.to_thread(process_image, source, process)
        # ETag, CRC-64 and length are those of the source.
        kept = {name: value for name, value in headers.items() if name not in _OF_THE_SOURCE}
        return web.Response(body=content, headers={**kept, "Content-Type": content_type})
    span = _span(request, stored.size_bytes)
    first, last = span or (0, stored.size_bytes - 1)
    headers["Content-Length"] = str(last - first + 1)
    if span is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{stored.size_bytes}"
    # Opened before the response begins: the content stays readable if the object is replaced meanwhile.
    file = await asyncio.to_thread(objects.file(request.bucket.name, key).open, "rb")
    body = _read(file, first, last - first + 1)
    return web.Response(status=200 if span is None else 206, headers=headers, body=body)


async def _read(file: BinaryIO, first: int, length: int) -> AsyncIterator[bytes]:
    with file:
        await asyncio.to_thread(file.seek, first)
        while length > 0:
            chunk = await asyncio.to_thread(file.read, min(_CHUNK_BYTES, length))
            length -= len(chunk)
            yield chunk


async def head_object(world: World, objects: Objects, request: OssRequest) -> web.Response:
    _, stored = follow(world, objects, request, find(objects, request.bucket.name, request.key))
    headers = _headers(stored)
    if is_unmodified(request.headers, stored):
        return web.Response(status=304, headers=headers)
    return web.Response(headers={**headers, "Content-Length": str(stored.size_bytes)})


def is_unmodified(sent: Mapping[str, str], stored: StoredObject) -> bool:
    """Return whether the answer is 304. Raise PreconditionFailed for If-Match and If-Unmodified-Since.

    The names of the headers may be lower-case.
    """
    modified = datetime.fromisoformat(stored.last_modified)
    since, unmodified_since = _date(sent.get("if-modified-since")), _date(sent.get("if-unmodified-since"))
    if unmodified_since is not None and modified > unmodified_since:
        raise _precondition_failed("If-Unmodified-Since")
    if "if-match" in sent and not _matches(sent["if-match"], stored.etag):
        raise _precondition_failed("If-Match")
    if "if-none-match" in sent:
        return _matches(sent["if-none-match"], stored.etag)
    return since is not None and modified <= since


def check_readable(objects: Objects, bucket: str, key: str) -> None:
    """Raise InvalidObjectState for an object in an archive: there is no RestoreObject here.

    See: https://help.aliyun.com/zh/oss/support/0016-00000404
    """
    if find(objects, bucket, key).storage_class in ARCHIVES:
        message = "The operation is not valid for the object's state"
        raise OssError(403, "InvalidObjectState", message, "0016-00000404")


def find(objects: Objects, bucket: str, key: str) -> StoredObject:
    """Return the object. Raise NoSuchKey."""
    stored = objects.find(bucket, key)
    if stored is None:
        raise OssError(404, "NoSuchKey", "The specified key does not exist.", "0026-00000001")
    return stored


def _requested_headers(request: OssRequest) -> dict[str, str]:
    """Return the headers that `response-content-type` and similar parameters set. Only a signer may set them."""
    given = {name: value for name, value in request.query.items() if name.startswith(_RESPONSE)}
    if given and request.signer is None:
        raise OssError(400, "InvalidRequest", "The response headers cannot be overridden by an anonymous request.")
    return {name.removeprefix(_RESPONSE).title(): check_header(name, value) for name, value in given.items()}


def _headers(stored: StoredObject) -> dict[str, str]:
    headers = {
        **stored.headers,
        "Content-Type": stored.content_type,
        "ETag": stored.etag,
        "Last-Modified": http_date(stored.last_modified),
        "Accept-Ranges": "bytes",
        "x-oss-hash-crc64ecma": stored.crc64,
        "x-oss-storage-class": stored.storage_class,
        "x-oss-object-type": stored.object_type,
    }
    if stored.object_type == "Appendable":
        headers["x-oss-next-append-position"] = str(stored.size_bytes)
    if stored.tags:
        headers["x-oss-tagging-count"] = str(len(stored.tags))
    return headers


def _span(request: OssRequest, size_bytes: int) -> tuple[int, int] | None:
    """Return the first and last byte; None for the whole object.

    OSS ignores a range that is malformed or ends outside of the object. With `x-oss-range-behavior: standard`, it
    shortens a range that ends outside, and refuses one that begins outside.
    See: https://help.aliyun.com/zh/oss/user-guide/range-download
    """
    match = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    behavior = request.headers.get("x-oss-range-behavior")
    is_standard = behavior is not None and behavior.lower() == "standard"
    if behavior is not None and not is_standard:
        message = "The x-oss-range-behavior must be standard."
        raise invalid_argument(message, "", "x-oss-range-behavior", behavior)
    if match is None:
        return None
    if match[3] is not None:
        length = int(match[3])
        first, last = max(0, size_bytes - length), size_bytes - 1
        is_outside, is_satisfiable = length > size_bytes, length > 0 and size_bytes > 0
    else:
        first, last = int(match[1]), int(match[2] or size_bytes - 1)
        if match[2] and last < first:
            return None
        is_outside, is_satisfiable = last >= size_bytes, first < size_bytes
    if is_standard and not is_satisfiable:
        message = "The requested range cannot be satisfied."
        raise OssError(416, "InvalidRange", message, more=(("ObjectSize", str(size_bytes)),))
    if not is_satisfiable or (is_outside and not is_standard):
        return None
    return first, min(last, size_bytes - 1)


def _matches(given: str, etag: str) -> bool:
    return any(each.strip().strip('"') in ("*", etag.strip('"')) for each in given.split(","))


def _date(text: str | None) -> datetime | None:
    """Return the time of an HTTP date; None if it is none, which OSS ignores."""
    return None if text is None else parse_http_date(text)


def _precondition_failed(condition: str) -> OssError:
    message = "At least one of the pre-conditions you specified did not hold."
    return OssError(412, "PreconditionFailed", message, more=(("Condition", condition),))
