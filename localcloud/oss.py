"""OSS over HTTP: finds the operation of a request, checks its signature and permission, and runs it.

The Host names the bucket (`bucket.oss-<region>.…`, or a custom domain), or the path does, for plain 127.0.0.1.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from aiohttp import web

from localcloud.addressing import bucket_and_key, check_encoding, check_key, host_of, is_address, query_of
from localcloud.append_object import append_object
from localcloud.bucket_queries import check_endpoint, check_public_endpoint, get_bucket_info, get_bucket_location
from localcloud.buckets import get_bucket_acl, list_buckets, new_bucket, put_bucket
from localcloud.callbacks import REQUEST_ID, Callbacks
from localcloud.copy_object import copy_object
from localcloud.cors import allow_origin, get_bucket_cors, parse_request, preflight
from localcloud.delete_objects import delete_multiple_objects
from localcloud.get_object import get_object, head_object
from localcloud.header_signature import authorize, is_signed, signing_region
from localcloud.lifecycle import get_lifecycle, parse_lifecycle
from localcloud.multipart import Multipart
from localcloud.multipart_completion import MultipartCompletion
from localcloud.multipart_lists import list_multipart_uploads, list_parts
from localcloud.multipart_store import MultipartUploads
from localcloud.object_acl import get_object_acl, get_object_meta, put_object_acl
from localcloud.object_lists import list_objects, list_objects_v2
from localcloud.object_tags import delete_object_tagging, get_object_tagging, put_object_tagging
from localcloud.objects import Objects, StoredObject
from localcloud.operation import Operation
from localcloud.operations import LIST_BUCKETS, PREFLIGHT, find_operation
from localcloud.oss_errors import OssError, error_response, not_implemented
from localcloud.oss_request import OssRequest
from localcloud.post_object import post_object
from localcloud.public_access import check_public_read, check_public_write
from localcloud.put_object import delete_object, put_object
from localcloud.symlinks import get_symlink, put_symlink
from localcloud.world import Bucket, World

_ANY_REGION = "cn-hangzhou"

Handler = Callable[[OssRequest], Awaitable[web.StreamResponse]]


class Oss:
    def __init__(self, world: World, objects: Objects, uploads: MultipartUploads) -> None:
        self._world, self._objects = world, objects
        self._callbacks = Callbacks(world, objects)
        multipart = Multipart(world, objects, uploads)
        self._handlers: dict[str, Handler] = {
            "PostObject": partial(post_object, world, objects, self._callbacks),
            "PutObject": partial(put_object, world, objects, self._callbacks),
            "CopyObject": partial(copy_object, world, objects),
            "AppendObject": partial(append_object, world, objects),
            "GetObject": partial(get_object, world, objects),
            "HeadObject": partial(head_object, world, objects),
            "GetObjectMeta": partial(get_object_meta, objects),
            "DeleteObject": partial(delete_object, objects),
            "DeleteMultipleObjects": partial(delete_multiple_objects, objects),
            "PutSymlink": partial(put_symlink, world, objects),
            "GetSymlink": partial(get_symlink, objects),
            "GetObjectAcl": partial(get_object_acl, objects),
            "PutObjectAcl": partial(put_object_acl, objects),
            "GetObjectTagging": partial(get_object_tagging, objects),
            "PutObjectTagging": partial(put_object_tagging, objects),
            "DeleteObjectTagging": partial(delete_object_tagging, objects),
            "InitiateMultipartUpload": multipart.initiate,
            "UploadPart": multipart.upload_part,
            "CompleteMultipartUpload": MultipartCompletion(world, objects, uploads, self._callbacks).complete,
            "AbortMultipartUpload": multipart.abort,
            "ListParts": partial(list_parts, uploads),
            "ListMultipartUploads": partial(list_multipart_uploads, uploads),
            "ListObjects": partial(list_objects, objects),
            "ListObjectsV2": partial(list_objects_v2, objects),
            "ListBuckets": partial(list_buckets, world),
            "PutBucket": partial(put_bucket, world),
            "GetBucketAcl": get_bucket_acl,
            "GetBucketInfo": get_bucket_info,
            "GetBucketLocation": get_bucket_location,
            "GetBucketCors": self._get_cors,
            "PutBucketCors": self._put_cors,
            "DeleteBucketCors": self._delete_cors,
            "GetBucketLifecycle": get_lifecycle,
            "PutBucketLifecycle": self._put_lifecycle,
            "DeleteBucketLifecycle": self._delete_lifecycle,
        }

    def routes(self) -> list[web.RouteDef]:
        return [*self._callbacks.routes(), web.route("*", r"/{path:[\s\S]*}", self.handle)]

    async def named(self, request: web.Request) -> tuple[str, str]:
        """Return the action and the object key, for `/-/calls`. The key of a form is known once it has been read."""
        bucket, key = bucket_and_key(request, self._world)
        try:
            return _operation(request, bucket, key).name, key
        except OssError:
            return "", key

    async def handle(self, request: web.Request) -> web.StreamResponse:
        request_id = request[REQUEST_ID] = uuid.uuid4().hex[:24].upper()
        name, key = bucket_and_key(request, self._world)
        response: web.Response | web.StreamResponse
        try:
            check_encoding(request)
            response = await self._run(request, name, key)
        except OssError as error:
            response = error_response(error, request_id, request.host)
            if request.method == "HEAD" and isinstance(response.body, bytes):
                # SDKs read it there, because the response to HEAD has no body.
                response.headers["x-oss-err"] = base64.b64encode(response.body).decode()
            if error.ec:
                response.headers["x-oss-ec"] = error.ec
        response.headers["x-oss-request-id"] = request_id
        response.headers["Server"] = "AliyunOSS"
        if (bucket := self._world.buckets.get(name)) is not None:
            allow_origin(request, response, bucket.cors)
        return response

    async def _run(self, request: web.Request, name: str, key: str) -> web.StreamResponse:
        query = query_of(request)
        operation, bucket = self._operation_and_bucket(request, query, name, key)
        check_endpoint(request.host, bucket, operation)
        if self._world.new_account and host_of(request) not in self._world.domains:
            check_public_endpoint(request.host, bucket, operation)
        if operation is PREFLIGHT:
            return preflight(request, bucket.cors)
        self._world.counts[f"oss.{operation.name}"] += 1
        # A form has its own signature.
        is_form = operation.name == "PostObject"
        signer = None if is_form else authorize(self._world, request, query, bucket, key, operation)
        if signer is None and operation.is_publicly_writable:
            check_public_write(self._objects, bucket, key)
        elif signer is None and not is_form:
            check_public_read(self._world, self._objects, bucket, key)
        operation.check(query, request.headers)
        if not operation.accepts_body and request.body_exists and await request.content.readany():
            raise not_implemented(f"The body of {operation.name}", operation.name)
        if operation.on_object:
            check_key(key)
        return await self._handlers[operation.name](OssRequest(request, query, bucket, key, signer))

    def _operation_and_bucket(
        self, request: web.Request, query: Mapping[str, str], name: str, key: str
    ) -> tuple[Operation, Bucket]:
        """Raise NoSuchBucket, unless the request lists buckets or creates this one."""
        region = signing_region(request, query) or _ANY_REGION
        bucket = self._world.buckets.get(name)
        if not name and not _is_unbound_domain(request, query):
            return _operation(request, name, key), Bucket(name, region)
        if bucket is None and _operation(request, name, key).name == "PutBucket":
            bucket = new_bucket(name, region)
        if bucket is None:
            raise OssError(404, "NoSuchBucket", "The specified bucket does not exist.", "0015-00000101")
        return _operation(request, name, key), bucket

    async def _get_cors(self, request: OssRequest) -> web.Response:
        return get_bucket_cors(request.bucket.cors)

    async def _put_cors(self, request: OssRequest) -> web.Response:
        return self._change(request, cors=await parse_request(request.http))

    async def _delete_cors(self, request: OssRequest) -> web.Response:
        return self._change(request, status=204, cors=())

    async def _put_lifecycle(self, request: OssRequest) -> web.Response:
        return self._change(request, lifecycle=await parse_lifecycle(request.http))

    async def _delete_lifecycle(self, request: OssRequest) -> web.Response:
        return self._change(request, status=204, lifecycle=None)

    def _change(self, request: OssRequest, *, status: int = 200, **settings: Any) -> web.Response:
        """Replace settings of the bucket."""
        name = request.bucket.name
        self._world.buckets[name] = replace(self._world.buckets[name], **settings)
        return web.Response(status=status)


def _is_unbound_domain(request: web.Request, query: Mapping[str, str]) -> bool:
    """Return whether a request without a signature and a bucket has a host name, for which OSS has no bucket."""
    return not is_signed(request, query) and not is_address(host_of(request))


def _operation(request: web.Request, bucket: str, key: str) -> Operation:
    if not bucket and request.method == "GET":
        return LIST_BUCKETS
    return find_operation(request.method, key, query_of(request), request.headers)


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
        "tags": stored.tags,
        "last_modified": stored.last_modified,
    }
