"""PutObjectAcl, GetObjectAcl and GetObjectMeta.

See: https://help.aliyun.com/zh/oss/developer-reference/putobjectacl, .../getobjectacl and .../getobjectmeta
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from localcloud.get_object import find
from localcloud.http_dates import http_date
from localcloud.object_headers import acl_of
from localcloud.objects import Objects
from localcloud.oss_errors import invalid_argument
from localcloud.oss_request import OssRequest
from localcloud.ownership import access_control_policy


async def put_object_acl(objects: Objects, request: OssRequest) -> web.Response:
    if "x-oss-object-acl" not in request.headers:
        raise invalid_argument("The request misses x-oss-object-acl.", "0017-00000105", "x-oss-object-acl")
    acl, bucket = acl_of(request.headers), request.bucket.name
    find(objects, bucket, request.key)
    await asyncio.to_thread(objects.update, bucket, request.key, acl=acl)
    return web.Response()


async def get_object_acl(objects: Objects, request: OssRequest) -> web.Response:
    return access_control_policy(find(objects, request.bucket.name, request.key).acl)


async def get_object_meta(objects: Objects, request: OssRequest) -> web.Response:
    """Return fewer headers than HeadObject."""
    stored = find(objects, request.bucket.name, request.key)
    return web.Response(
        headers={
            "ETag": stored.etag,
            "Last-Modified": http_date(stored.last_modified),
            "Content-Length": str(stored.size_bytes),
            "x-oss-hash-crc64ecma": stored.crc64,
        }
    )
