"""OSS over HTTP: which bucket and key a request means, and what may be done with it.

Buckets are addressed by Host (`bucket.oss-<region>.…`) or, for plain 127.0.0.1 use, by path. Reading needs no signature
here, whatever the ACL: a convenience for development that the real OSS does not have. One that is there is checked.
"""

from __future__ import annotations

import re
import uuid
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.callbacks import Callbacks
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
        """The action and the object's key, for `/-/calls`; that of a form is known when the form has been read."""
        _, key = _address(request)
        return _action(request, key), key

    async def handle(self, request: web.Request) -> web.StreamResponse:
        request_id = uuid.uuid4().hex[:24].upper()
        name, key = _address(request)
        bucket = self._world.buckets.get(name)
        response: web.StreamResponse
        try:
            if bucket is None:
                raise OssError(404, "NoSuchBucket", "The specified bucket does not exist.", "0015-00000101")
            response = await self._answer(request, bucket, key)
        except OssError as error:
            response = error_response(error, request_id, request.host)
            if error.ec:
                response.headers["x-oss-ec"] = error.ec
        response.headers["x-oss-request-id"] = request_id
        response.headers["Server"] = "AliyunOSS"
        if bucket is not None:
            _allow_origin(request, response, bucket)
        return response

    async def _answer(self, request: web.Request, bucket: Bucket, key: str) -> web.StreamResponse:
        action = _action(request, key)
        if action == "OptionObject":
            return _preflight(request, bucket)
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
        """ListObjectsV2 (help page `listobjectsv2`)."""
        prefix, after = request.query.get("prefix", ""), request.query.get("continuation-token", "")
        most = request.query.get("max-keys", "100")
        if not most.isdecimal() or not 1 <= int(most) <= _MAX_KEYS:
            raise invalid_argument(
                "Argument max-keys must be an integer between 1 and 1000.", "0017-00000106", "max-keys"
            )
        found = [each for each in self._objects.list(bucket.name, prefix) if each.key > after]
        shown, more = found[: int(most)], found[int(most) :]
        encode = quote if request.query.get("encoding-type") == "url" else escape
        contents = "".join(_entry(each, encode(each.key)) for each in shown)
        token = f"<NextContinuationToken>{escape(shown[-1].key)}</NextContinuationToken>" if more else ""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult>'
            f"<Name>{bucket.name}</Name><Prefix>{encode(prefix)}</Prefix><MaxKeys>{most}</MaxKeys>"
            f"<KeyCount>{len(shown)}</KeyCount><IsTruncated>{str(bool(more)).lower()}</IsTruncated>{token}{contents}"
            "</ListBucketResult>\n"
        )
        return web.Response(text=text, content_type="application/xml")


def _entry(stored: StoredObject, key: str) -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{stored.last_modified}</LastModified><ETag>{stored.etag}</ETag>"
        f"<Type>Normal</Type><Size>{stored.size_bytes}</Size><StorageClass>{stored.storage_class}</StorageClass></Contents>"
    )


def _action(request: web.Request, key: str) -> str:
    """As OSS calls it, but HEAD counts as GET; "" for what is not done here."""
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
    return ""


def _address(request: web.Request) -> tuple[str, str]:
    path = unquote(request.raw_path.partition("?")[0].lstrip("/"))
    match = _HOST.fullmatch(request.host.rpartition(":")[0] or request.host)
    if match is not None:
        return match[1], path
    bucket, _, key = path.partition("/")
    return bucket, key


def _allow_origin(request: web.Request, response: web.StreamResponse, bucket: Bucket) -> None:
    origin = request.headers.get("Origin")
    if origin is not None and ("*" in bucket.cors_origins or origin in bucket.cors_origins):
        response.headers["Access-Control-Allow-Origin"] = "*" if "*" in bucket.cors_origins else origin
        response.headers["Access-Control-Expose-Headers"] = "ETag, x-oss-request-id, x-oss-hash-crc64ecma"


def _preflight(request: web.Request, bucket: Bucket) -> web.Response:
    origin, method = request.headers.get("Origin"), request.headers.get("Access-Control-Request-Method")
    allowed = "*" in bucket.cors_origins or origin in bucket.cors_origins
    if origin is None or method is None or not allowed:
        message = "CORSResponse: This CORS request is not allowed. Rules are not found for this origin."
        raise OssError(403, "AccessForbidden", message, "0007-00000001")
    return web.Response(
        headers={
            "Access-Control-Allow-Methods": "GET, PUT, POST, HEAD, DELETE",
            "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", "*"),
            "Access-Control-Max-Age": "600",
        }
    )


def describe(stored: StoredObject) -> dict[str, object]:
    """For `/-/objects`."""
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
