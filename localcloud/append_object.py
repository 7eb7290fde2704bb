"""AppendObject.

See: https://help.aliyun.com/zh/oss/developer-reference/appendobject
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web

from localcloud.crc64 import combine
from localcloud.integers import parse_integer
from localcloud.object_headers import DEFAULT_TYPE, acl_of, encryption_header, storage_class_of, stored_headers
from localcloud.object_tags import tags_of
from localcloud.objects import Objects, StoredObject
from localcloud.oss_errors import OssError, invalid_argument
from localcloud.oss_request import OssRequest
from localcloud.put_object import receive
from localcloud.world import World, iso

_MAX_POSITION = 2**63 - 1


async def append_object(world: World, objects: Objects, request: OssRequest) -> web.Response:
    bucket, key = request.bucket.name, request.key
    position = _position(request)
    earlier = _appendable(objects, bucket, key, position)
    new = _new_object(request, iso(world.now()))
    with objects.incoming(bucket) as incoming:
        if earlier is not None:
            await asyncio.to_thread(incoming.append, objects.file(bucket, key))
        await receive(request.http, incoming)
        await asyncio.to_thread(incoming.finish)
        before = earlier or new
        stored = replace(
            before,
            size_bytes=before.size_bytes + incoming.size_bytes,
            # It is no MD5.
            etag=f'"{uuid.uuid4().hex.upper()}"',
            crc64=str(combine([(int(before.crc64), before.size_bytes), (incoming.crc64, incoming.size_bytes)])),
            last_modified=new.last_modified,
        )

        def check(current: StoredObject | None) -> None:
            if current != earlier:
                raise _wrong_position(position)

        await asyncio.to_thread(objects.store, bucket, incoming.path, stored, check)
    return web.Response(
        headers={
            "ETag": stored.etag,
            "x-oss-next-append-position": str(stored.size_bytes),
            "x-oss-hash-crc64ecma": stored.crc64,
            **encryption_header(stored.headers),
        }
    )


def _position(request: OssRequest) -> int:
    text = request.query.get("position", "")
    position = parse_integer(text, _MAX_POSITION)
    if position is None:
        message = "Missing Some Required Arguments. The position is missing or no integer that is 0 or greater."
        ec = "0016-00000502" if text else "0016-00000501"
        raise OssError(400, "MissingArgument", message, ec, argument=("position", text))
    return position


def _appendable(objects: Objects, bucket: str, key: str, position: int) -> StoredObject | None:
    """Return the object; None if there is none. Raise `OssError` if nothing can be appended to it there."""
    stored = objects.find(bucket, key)
    if stored is not None and stored.object_type != "Appendable":
        raise OssError(409, "ObjectNotAppendable", "The object is not appendable", "0026-00000017")
    if position != (stored.size_bytes if stored else 0):
        raise _wrong_position(position)
    return stored


def _new_object(request: OssRequest, now: str) -> StoredObject:
    """Return an empty object. Only the first request determines its headers."""
    sent = request.headers
    return StoredObject(
        key=request.key,
        size_bytes=0,
        content_type=sent.get("Content-Type", DEFAULT_TYPE),
        etag="",
        crc64="0",
        last_modified=now,
        acl=acl_of(sent),
        storage_class=_storage_class(sent),
        object_type="Appendable",
        headers=stored_headers(sent),
        tags=tags_of(request),
    )


def _storage_class(sent: Mapping[str, str]) -> str:
    """See: https://help.aliyun.com/zh/oss/support/0016-00000503"""
    found = storage_class_of(sent)
    if found in ("ColdArchive", "DeepColdArchive"):
        message = f"Appendable objects cannot have the storage class {found}."
        raise invalid_argument(message, "0016-00000503", "x-oss-storage-class", found)
    return found


def _wrong_position(position: int) -> OssError:
    message = f"Position is not equal to file length: {position}"
    return OssError(409, "PositionNotEqualToLength", message, "0026-00000016")
