"""OSS over HTTP: finds the operation of a request, checks its signature and permission, and runs it.

The Host names the bucket (`bucket.oss-<region>.…`, or a custom domain), or the path does, for plain 127.0.0.1. Reading
objects needs no signature here, whatever the ACL: a convenience that the real OSS does not have. If there is a
signature, it is verified.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.addressing import bucket_and_key, host_of, query_of
from localcloud.bucket_queries import check_endpoint, check_public_endpoint, get_bucket_info, get_bucket_location
from localcloud.callbacks import REQUEST_ID, Callbacks
from localcloud.cors import allow_origin, get_bucket_cors, parse_request, preflight
from localcloud.get_object import get_object, head_object
from localcloud.header_signature import authorize
from localcloud.lifecycle import get_lifecycle, parse_lifecycle
from localcloud.multipart import Multipart
from localcloud.multipart_completion import MultipartCompletion
from localcloud.multipart_lists import list_multipart_uploads, list_parts
from localcloud.multipart_store import MultipartUploads
from localcloud.objects import Objects, StoredObject
from localcloud.operations import PREFLIGHT, find_operation
from localcloud.oss_errors import OssError, error_response, invalid_argument
from localcloud.post_object import post_object
from localcloud.put_object import delete_object, put_object
from localcloud.world import Bucket, World

_MAX_KEYS = 1000


class Oss:
    def __init__(self, world: World, objects: Objects, uploads: MultipartUploads) -> None:
        self._world = world
        self._objects = objects
        self._uploads = uploads
        self._callbacks = Callbacks(world, objects)
        self._multipart = Multipart(world, objects, uploads)
        self._completion = MultipartCompletion(world, objects, uploads, self._callbacks)

    def routes(self) -> list[web.RouteDef]:
        return [*self._callbacks.routes(), web.route("*", "/{path:.*}", self.handle)]

    async def named(self, request: web.Request) -> tuple[str, str]:
        """Return the action and the object key, for `/-/calls`. The key of a form is known once it has been read."""
        _, key = bucket_and_key(request, self._world)
        try:
            return find_operation(request.method, key, query_of(request)).name, key
        except OssError:
            return "", key

    async def handle(self, request: web.Request) -> web.StreamResponse:
        request_id = request[REQUEST_ID] = uuid.uuid4().hex[:24].upper()
        name, key = bucket_and_key(request, self._world)
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
        query = query_of(request)
        operation = find_operation(request.method, key, query)
        check_endpoint(request.host, bucket, operation)
        if self._world.new_account and host_of(request) not in self._world.domains:
            check_public_endpoint(request.host, bucket, operation)
        if operation is PREFLIGHT:
            return preflight(request, bucket.cors)
        self._world.counts[f"oss.{operation.name}"] += 1
        if operation.name != "PostObject":
            # A form has its own signature.
            authorize(self._world, request, query, bucket, key, operation)
        operation.check(query, request.headers)
        if operation.on_object:
            return await self._run_on_object(operation.name, request, query, bucket, key)
        return await self._run_on_bucket(operation.name, request, query, bucket)

    async def _run_on_object(
        self, name: str, request: web.Request, query: Mapping[str, str], bucket: Bucket, key: str
    ) -> web.StreamResponse:
        match name:
            case "PutObject":
                return await put_object(request, query, self._world, self._objects, bucket, key, self._callbacks)
            case "GetObject":
                return await get_object(request, self._objects, bucket, key)
            case "HeadObject":
                return head_object(request, self._objects, bucket, key)
            case "DeleteObject":
                return await delete_object(self._objects, bucket, key)
            case "InitiateMultipartUpload":
                return self._multipart.initiate(request, query, bucket, key)
            case "UploadPart":
                return await self._multipart.upload_part(request, query, bucket, key)
            case "CompleteMultipartUpload":
                return await self._completion.complete(request, query, bucket, key)
            case "AbortMultipartUpload":
                return await self._multipart.abort(query, bucket, key)
            case "ListParts":
                return list_parts(self._uploads, query, bucket, key)
        raise NotImplementedError(name)

    async def _run_on_bucket(
        self, name: str, request: web.Request, query: Mapping[str, str], bucket: Bucket
    ) -> web.StreamResponse:
        match name:
            case "PostObject":
                return await post_object(request, self._world, self._objects, bucket, self._callbacks)
            case "ListObjectsV2":
                return self._list(query, bucket)
            case "ListMultipartUploads":
                return list_multipart_uploads(self._uploads, query, bucket)
            case "GetBucketInfo":
                return get_bucket_info(bucket)
            case "GetBucketLocation":
                return get_bucket_location(bucket)
            case "GetBucketCors":
                return get_bucket_cors(bucket.cors)
            case "PutBucketCors":
                return self._change(bucket, cors=await parse_request(request))
            case "DeleteBucketCors":
                return self._change(bucket, status=204, cors=())
            case "GetBucketLifecycle":
                return get_lifecycle(bucket.lifecycle)
            case "PutBucketLifecycle":
                return self._change(bucket, lifecycle=await parse_lifecycle(request))
            case "DeleteBucketLifecycle":
                return self._change(bucket, status=204, lifecycle=None)
        raise NotImplementedError(name)

    def _change(self, bucket: Bucket, *, status: int = 200, **settings: Any) -> web.Response:
        """Replace settings of the bucket."""
        self._world.buckets[bucket.name] = replace(self._world.buckets[bucket.name], **settings)
        return web.Response(status=status)

    def _list(self, query: Mapping[str, str], bucket: Bucket) -> web.Response:
        """ListObjectsV2.

        See: https://help.aliyun.com/zh/oss/developer-reference/listobjectsv2
        """
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        limit = query.get("max-keys", "100")
        if not limit.isdecimal() or not 1 <= int(limit) <= _MAX_KEYS:
            raise invalid_argument(
                "Argument max-keys must be an integer between 1 and 1000.", "0017-00000106", "max-keys"
            )
        found = [each for each in self._objects.list(bucket.name, prefix) if each.key > after]
        shown, more = found[: int(limit)], found[int(limit) :]
        encode = quote if query.get("encoding-type") == "url" else escape
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
