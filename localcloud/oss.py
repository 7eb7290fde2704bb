"""OSS over HTTP: finds the bucket, object key and action of a request, and runs the action.

The Host names the bucket (`bucket.oss-<region>.…`, or a custom domain), or the path does, for plain 127.0.0.1. Reading
objects needs no signature here, whatever the ACL: a convenience that the real OSS does not have. If there is a
signature, it is verified.
"""

from __future__ import annotations

import re
import uuid
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.bucket_queries import (
    QUERIES,
    check_endpoint,
    check_public_endpoint,
    get_bucket_info,
    get_bucket_location,
)
from localcloud.callbacks import REQUEST_ID, Callbacks
from localcloud.cors import allow_origin, get_bucket_cors, preflight
from localcloud.header_signature import authorize
from localcloud.objects import Objects, StoredObject, http_date
from localcloud.oss_errors import OssError, error_response, invalid_argument
from localcloud.post_object import post_object
from localcloud.put_object import delete_object, put_object
from localcloud.world import Bucket, World

_HOST = re.compile(r"([a-z0-9][a-z0-9-]{1,61}[a-z0-9])\.oss-[a-z0-9-]+\..+")
_MAX_KEYS = 1000


class Oss:
    def __init__(self, world: World, objects: Objects) -> None:
        self._world = world
        self._objects = objects
        self._callbacks = Callbacks(world)

    def routes(self) -> list[web.RouteDef]:
        return [*self._callbacks.routes(), web.route("*", "/{path:.*}", self.handle)]

    async def named(self, request: web.Request) -> tuple[str, str]:
        """Return the action and the object key, for `/-/calls`. The key of a form is known once it has been read."""
        _, key = self._address(request)
        return _action(request, key), key

    def _address(self, request: web.Request) -> tuple[str, str]:
        path = unquote(request.raw_path.partition("?")[0].lstrip("/"))
        host = _host(request)
        if host in self._world.domains:
            return self._world.domains[host], path
        match = _HOST.fullmatch(host)
        if match is not None:
            return match[1], path
        bucket, _, key = path.partition("/")
        return bucket, key

    async def handle(self, request: web.Request) -> web.StreamResponse:
        request_id = request[REQUEST_ID] = uuid.uuid4().hex[:24].upper()
        name, key = self._address(request)
        bucket = self._world.buckets.get(name)
        response: web.StreamResponse
        try:
            if bucket is None:
                raise OssError(404, "NoSuchBucket", "The specified bucket does not exist.", "0015-00000101")
            response = await self._run(request, bucket, key)
        except OssError as error:
            response = error_response(error, request_id, request.host)
            if error.ec:
                response.headers["x-oss-ec"] = error.ec
        response.headers["x-oss-request-id"] = request_id
        response.headers["Server"] = "AliyunOSS"
        if bucket is not None:
            allow_origin(request, response, bucket.cors)
        return response

    async def _run(self, request: web.Request, bucket: Bucket, key: str) -> web.StreamResponse:
        action = _action(request, key)
        check_endpoint(request.host, bucket, action)
        if self._world.new_account and _host(request) not in self._world.domains:
            check_public_endpoint(request.host, bucket, action)
        if action == "OptionObject":
            return preflight(request, bucket.cors)
        if action:
            self._world.counts[f"oss.{action}"] += 1
        if action == "PostObject":
            return await post_object(request, self._world, self._objects, bucket, self._callbacks)
        if action:
            authorize(self._world, request, bucket, key, action)
        if action == "PutObject":
            return await put_object(request, self._world, self._objects, bucket, key)
        if action == "DeleteObject":
            return await delete_object(self._objects, bucket, key)
        if action == "GetObject":
            return self._get(bucket, key)
        if action == "ListObjectsV2":
            return self._list(request, bucket)
        if action == "GetBucketInfo":
            return get_bucket_info(bucket)
        if action == "GetBucketLocation":
            return get_bucket_location(bucket)
        if action == "GetBucketCors":
            return get_bucket_cors(bucket.cors)
        raise OssError(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")

    def _get(self, bucket: Bucket, key: str) -> web.StreamResponse:
        stored = self._objects.find(bucket.name, key)
        if stored is None:
            raise OssError(404, "NoSuchKey", "The specified key does not exist.", "0026-00000001")
        headers = {
            **stored.headers,
            "Content-Type": stored.content_type,
            "ETag": stored.etag,
            "Last-Modified": http_date(stored.last_modified),
            "x-oss-hash-crc64ecma": stored.crc64,
            "x-oss-storage-class": stored.storage_class,
            "x-oss-object-type": "Normal",
        }
        return web.FileResponse(self._objects.file(bucket.name, key), headers=headers)

    def _list(self, request: web.Request, bucket: Bucket) -> web.Response:
        """ListObjectsV2.

        See: https://help.aliyun.com/zh/oss/developer-reference/listobjectsv2
        """
        prefix, after = request.query.get("prefix", ""), request.query.get("continuation-token", "")
        limit = request.query.get("max-keys", "100")
        if not limit.isdecimal() or not 1 <= int(limit) <= _MAX_KEYS:
            raise invalid_argument(
                "Argument max-keys must be an integer between 1 and 1000.", "0017-00000106", "max-keys"
            )
        found = [each for each in self._objects.list(bucket.name, prefix) if each.key > after]
        shown, more = found[: int(limit)], found[int(limit) :]
        encode = quote if request.query.get("encoding-type") == "url" else escape
        contents = "".join(_entry(each, encode(each.key)) for each in shown)
        token = f"<NextContinuationToken>{escape(shown[-1].key)}</NextContinuationToken>" if more else ""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult>'
            f"<Name>{bucket.name}</Name><Prefix>{encode(prefix)}</Prefix><MaxKeys>{limit}</MaxKeys>"
            f"<KeyCount>{len(shown)}</KeyCount><IsTruncated>{str(bool(more)).lower()}</IsTruncated>{token}{contents}"
            "</ListBucketResult>\n"
        )
        return web.Response(text=text, content_type="application/xml")


def _entry(stored: StoredObject, key: str) -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{stored.last_modified}</LastModified><ETag>{stored.etag}</ETag>"
        f"<Type>Normal</Type><Size>{stored.size_bytes}</Size><StorageClass>{stored.storage_class}</StorageClass></Contents>"
    )


def _host(request: web.Request) -> str:
    """Return the host without its port."""
    return request.host.rpartition(":")[0] or request.host


def _action(request: web.Request, key: str) -> str:
    """Return OSS's name of the action, with HEAD as GET; "" if it is not implemented."""
    if request.method == "OPTIONS":
        return "OptionObject"
    if request.method == "POST" and not key:
        return "PostObject"
    if request.method in ("GET", "HEAD") and key:
        return "GetObject"
    if request.method in ("PUT", "DELETE") and key:
        return {"PUT": "PutObject", "DELETE": "DeleteObject"}[request.method]
    if request.method == "GET" and request.query.get("list-type") == "2":
        return "ListObjectsV2"
    queries = [QUERIES[name] for name in request.query if name in QUERIES]
    return queries[0] if request.method == "GET" and queries else ""


def describe(stored: StoredObject) -> dict[str, object]:
    """Return the object for `/-/objects`."""
    return {
        "key": stored.key,
        "size_bytes": stored.size_bytes,
        "content_type": stored.content_type,
        "etag": stored.etag,
        "crc64": stored.crc64,
        "acl": stored.acl,
        "storage_class": stored.storage_class,
        "headers": stored.headers,
        "last_modified": stored.last_modified,
    }
