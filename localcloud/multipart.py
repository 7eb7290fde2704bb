"""InitiateMultipartUpload, UploadPart and AbortMultipartUpload.

Type, metadata and storage class belong to Initiate; ACL and callback to Complete.
See: https://help.aliyun.com/zh/oss/developer-reference/initiatemultipartupload, .../uploadpart and
.../abortmultipartupload
Each EC has a page of its own, such as https://help.aliyun.com/zh/oss/user-guide/0017-00000220
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from localcloud.integers import parse_integer
from localcloud.listing import encoder
from localcloud.multipart_store import MultipartUpload, MultipartUploads, delete_parts
from localcloud.object_headers import (
    DEFAULT_TYPE,
    encryption_header,
    overwrite_check,
    storage_class_of,
    stored_headers,
)
from localcloud.object_tags import tags_of
from localcloud.objects import Objects
from localcloud.oss_errors import OssError, invalid_argument
from localcloud.oss_request import OssRequest
from localcloud.oss_xml import elements, xml_response
from localcloud.put_object import receive
from localcloud.world import World, iso

MAX_PART_NUMBER = 10_000
_NO_UPLOAD = "0042-00000104"


class Multipart:
    def __init__(self, world: World, objects: Objects, uploads: MultipartUploads) -> None:
        self._world, self._objects, self._uploads = world, objects, uploads

    async def initiate(self, request: OssRequest) -> web.Response:
        encode, encoding = encoder(request.query)
        sent, bucket, key = request.headers, request.bucket, request.key
        overwrite_check(sent, "")(self._objects.find(bucket.name, key))
        upload = MultipartUpload(
            id=self._uploads.new_id(),
            bucket=bucket.name,
            key=key,
            initiated=iso(self._world.now()),
            content_type=sent.get("Content-Type", DEFAULT_TYPE),
            storage_class=storage_class_of(sent),
            headers=stored_headers(sent),
            tags=tags_of(request),
        )
        self._uploads.add(upload)
        members = elements({"EncodingType": encoding, "Bucket": bucket.name, "Key": encode(key), "UploadId": upload.id})
        return xml_response(
            f"<InitiateMultipartUploadResult>{members}</InitiateMultipartUploadResult>",
            headers=encryption_header(upload.headers),
        )

    async def upload_part(self, request: OssRequest) -> web.Response:
        query, bucket, key = request.query, request.bucket, request.key
        number = part_number(query["partNumber"])
        self._uploads.find(bucket.name, key, query["uploadId"], _NO_UPLOAD)
        with self._uploads.incoming() as incoming:
            content_md5 = await receive(request.http, incoming)
            await asyncio.to_thread(incoming.finish, durable=False)
            # It may have been completed or aborted meanwhile.
            async with self._uploads.hold(bucket.name, key, query["uploadId"], _NO_UPLOAD) as upload:
                part = self._uploads.add_part(upload, number, incoming, iso(self._world.now()))
        headers = {"ETag": part.etag, "x-oss-hash-crc64ecma": str(part.crc64), "Content-MD5": content_md5}
        return web.Response(headers=headers)

    async def abort(self, request: OssRequest) -> web.Response:
        async with self._uploads.hold(request.bucket.name, request.key, request.query["uploadId"]) as upload:
            self._uploads.remove(upload)
        await asyncio.to_thread(delete_parts, upload)
        return web.Response(status=204)


def part_number(text: str) -> int:
    """Raise InvalidArgument unless it is from 1 to 10,000."""
    if not text:
        raise _missing_part_number()
    found = parse_integer(text, MAX_PART_NUMBER)
    if not found:
        message = "Part number must be an integer between 1 and 10000, inclusive."
        raise invalid_argument(message, "0017-00000220", "PartNumber", text)
    return found


def _missing_part_number() -> OssError:
    return invalid_argument("Unexpected query string parameter", "0017-00000219", "ResourceType", "partNumber")
