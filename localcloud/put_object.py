"""PutObject and DeleteObject.

See: https://help.aliyun.com/zh/oss/developer-reference/putobject and .../deleteobject
"""

from __future__ import annotations

import asyncio
import base64
import hashlib

from aiohttp import web

from localcloud.objects import Objects, StoredObject
from localcloud.oss_errors import OssError
from localcloud.world import Bucket, World, iso

_CHUNK_BYTES = 256 * 1024
_MAX_BYTES = 5 * 2**30
_STORED_HEADERS = ("cache-control", "content-disposition", "content-encoding", "expires")


async def put_object(request: web.Request, world: World, objects: Objects, bucket: Bucket, key: str) -> web.Response:
    if request.headers.get("x-oss-forbid-overwrite", "").lower() == "true" and objects.find(bucket.name, key):
        message = "The object you specified already exists and can not be overwritten."
        raise OssError(409, "FileAlreadyExists", message, "0026-00000002")
    digest = hashlib.md5(usedforsecurity=False)
    with objects.incoming(bucket.name) as incoming:
        async for chunk in request.content.iter_chunked(_CHUNK_BYTES):
            digest.update(chunk)
            await incoming.write(chunk)
            if incoming.size_bytes > _MAX_BYTES:
                message = "Your proposed upload exceeds the maximum allowed size."
                raise OssError(400, "EntityTooLarge", message, "0006-00000003")
        content_md5 = base64.b64encode(digest.digest()).decode()
        if request.headers.get("Content-MD5", content_md5) != content_md5:
            raise OssError(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
        _, crc64 = await asyncio.to_thread(incoming.finish)
        stored = _stored(request, key, incoming.size_bytes, digest.hexdigest(), crc64, iso(world.now()))
        await asyncio.to_thread(objects.store, bucket.name, incoming, stored)
    return web.Response(headers={"ETag": stored.etag, "x-oss-hash-crc64ecma": crc64, "Content-MD5": content_md5})


def _stored(request: web.Request, key: str, size_bytes: int, md5: str, crc64: str, now: str) -> StoredObject:
    sent = {name.lower(): value for name, value in request.headers.items()}
    return StoredObject(
        key=key,
        size_bytes=size_bytes,
        content_type=sent.get("content-type", "application/octet-stream"),
        etag=f'"{md5.upper()}"',
        crc64=crc64,
        last_modified=now,
        acl=sent.get("x-oss-object-acl", "default"),
        storage_class=sent.get("x-oss-storage-class", "Standard"),
        headers={
            name: value for name, value in sent.items() if name in _STORED_HEADERS or name.startswith("x-oss-meta-")
        },
    )


async def delete_object(objects: Objects, bucket: Bucket, key: str) -> web.Response:
    """Return 204, whether the object existed or not."""
    await asyncio.to_thread(objects.delete, bucket.name, key)
    return web.Response(status=204)
