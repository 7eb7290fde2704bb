"""PutSymlink and GetSymlink.

See: https://help.aliyun.com/zh/oss/developer-reference/putsymlink and .../getsymlink
"""

from __future__ import annotations

import asyncio
import uuid
from urllib.parse import quote, unquote

from aiohttp import web

from localcloud.addressing import check_key
from localcloud.get_object import find
from localcloud.http_dates import http_date
from localcloud.object_headers import (
    DEFAULT_TYPE,
    acl_of,
    overwrite_check,
    storage_class_of,
    stored_headers,
)
from localcloud.object_tags import tags_of
from localcloud.objects import Objects, StoredObject
from localcloud.oss_errors import OssError, invalid_argument
from localcloud.oss_request import OssRequest
from localcloud.world import World, iso

_TARGET = "x-oss-symlink-target"


async def put_symlink(world: World, objects: Objects, request: OssRequest) -> web.Response:
    sent, bucket = request.headers, request.bucket.name
    target = unquote(sent.get(_TARGET, ""))
    if not target:
        raise invalid_argument("The request misses x-oss-symlink-target.", "0043-00000001", _TARGET)
    check_key(target)
    check_overwrite = overwrite_check(sent, "0026-00000002")
    link = StoredObject(
        key=request.key,
        size_bytes=0,
        content_type=sent.get("Content-Type", DEFAULT_TYPE),
        etag=f'"{uuid.uuid4().hex.upper()}"',
        crc64="0",
        last_modified=iso(world.now()),
        acl=acl_of(sent),
        storage_class=storage_class_of(sent),
        object_type="Symlink",
        headers=stored_headers(sent),
        tags=tags_of(request),
        symlink_target=target,
    )
    with objects.incoming(bucket) as incoming:
        await asyncio.to_thread(incoming.finish)
        await asyncio.to_thread(objects.store, bucket, incoming.path, link, check_overwrite)
    return web.Response(headers={"ETag": link.etag})


async def get_symlink(objects: Objects, request: OssRequest) -> web.Response:
    link = find(objects, request.bucket.name, request.key)
    if link.symlink_target is None:
        raise OssError(400, "NotSymlink", "The object is not a symlink.", "0043-00000101")
    return web.Response(
        headers={
            "ETag": link.etag,
            "Last-Modified": http_date(link.last_modified),
            _TARGET: quote(link.symlink_target),
        }
    )
