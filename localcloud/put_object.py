"""PutObject and DeleteObject.

See: https://help.aliyun.com/zh/oss/developer-reference/putobject and .../deleteobject
"""

from __future__ import annotations

import asyncio
import base64

from aiohttp import web

from localcloud.callback_config import callback_of
from localcloud.callbacks import Callbacks
from localcloud.object_headers import (
    DEFAULT_TYPE,
    acl_of,
    encryption_header,
    overwrite_check,
    storage_class_of,
    stored_headers,
)
from localcloud.object_tags import tags_of
from localcloud.objects import Incoming, Objects, StoredObject
from localcloud.oss_errors import OssError
from localcloud.oss_request import OssRequest
from localcloud.world import World, iso

_CHUNK_BYTES = 256 * 1024
_MAX_BYTES = 5 * 2**30


async def put_object(world: World, objects: Objects, callbacks: Callbacks, request: OssRequest) -> web.Response:
    sent, bucket, key = request.headers, request.bucket, request.key
    check_overwrite = overwrite_check(sent, "0026-00000002")
    check_overwrite(objects.find(bucket.name, key))
    callback = callback_of(sent, request.query)
    acl, storage_class, headers = acl_of(sent), storage_class_of(sent), stored_headers(sent)
    tags = tags_of(request)
    with objects.incoming(bucket.name) as incoming:
        content_md5 = await receive(request.http, incoming)
        await asyncio.to_thread(incoming.finish)
        stored = StoredObject(
            key=key,
            size_bytes=incoming.size_bytes,
            content_type=sent.get("Content-Type", DEFAULT_TYPE),
            etag=f'"{incoming.md5.hex().upper()}"',
            crc64=str(incoming.crc64),
            last_modified=iso(world.now()),
            acl=acl,
            storage_class=storage_class,
            headers=headers,
            tags=tags,
        )
        await asyncio.to_thread(objects.store, bucket.name, incoming.path, stored, check_overwrite)
    if callback is not None:
        return await callbacks.send(request.http, "PutObject", callback, bucket.name, stored)
    result = {"ETag": stored.etag, "x-oss-hash-crc64ecma": stored.crc64, "Content-MD5": content_md5}
    return web.Response(headers=result | encryption_header(stored.headers))


async def receive(request: web.Request, incoming: Incoming) -> str:
    """Write the body to the file, and return the Base64 of its MD5.

    Raise MissingContentLength, EntityTooLarge or InvalidDigest.
    """
    if "Content-Length" not in request.headers and "Transfer-Encoding" not in request.headers:
        raise OssError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    async for chunk in request.content.iter_chunked(_CHUNK_BYTES):
        await incoming.write(chunk)
        if incoming.size_bytes > _MAX_BYTES:
            message = "Your proposed upload exceeds the maximum allowed size."
            raise OssError(400, "EntityTooLarge", message, "0006-00000003")
    content_md5 = base64.b64encode(incoming.md5).decode()
    if request.headers.get("Content-MD5", content_md5) != content_md5:
        raise OssError(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
    return content_md5


async def delete_object(objects: Objects, request: OssRequest) -> web.Response:
    """Return 204, whether the object existed or not."""
    await asyncio.to_thread(objects.delete, request.bucket.name, request.key)
    return web.Response(status=204)
