"""CompleteMultipartUpload: checks the list of parts and joins them into the object.

See: https://help.aliyun.com/zh/oss/developer-reference/completemultipartupload
"""

from __future__ import annotations

import asyncio
from itertools import pairwise

from aiohttp import web

from localcloud.callback_config import callback_of
from localcloud.callbacks import Callbacks
from localcloud.crc64 import combine
from localcloud.listing import encoder
from localcloud.multipart import part_number
from localcloud.multipart_store import MultipartUpload, MultipartUploads, Part, delete_parts, etag_of
from localcloud.object_headers import acl_of, encryption_header, overwrite_check
from localcloud.objects import Check, Objects, StoredObject
from localcloud.oss_errors import OssError, invalid_argument, malformed_xml
from localcloud.oss_request import OssRequest
from localcloud.oss_xml import elements, parse_xml, read_body, xml_response
from localcloud.world import World, iso

_MIN_PART_BYTES = 100 * 1024
_MAX_BODY_BYTES = 5 * 2**20
"""10,000 parts of about 100 bytes, with room for white space."""


class MultipartCompletion:
    def __init__(self, world: World, objects: Objects, uploads: MultipartUploads, callbacks: Callbacks) -> None:
        self._world, self._objects, self._uploads, self._callbacks = world, objects, uploads, callbacks

    async def complete(self, request: OssRequest) -> web.Response:
        query, bucket, key, sent = request.query, request.bucket, request.key, request.headers
        encode, encoding = encoder(query)
        callback, acl = callback_of(sent, query), acl_of(sent)
        body = await read_body(request.http, _MAX_BODY_BYTES)
        async with self._uploads.hold(bucket.name, key, query["uploadId"]) as upload:
            parts = _chosen_parts(sent.get("x-oss-complete-all"), body, upload)
            check_overwrite = overwrite_check(sent, "0042-00000214")
            check_overwrite(self._objects.find(bucket.name, key))
            stored = StoredObject(
                key=key,
                size_bytes=sum(part.size_bytes for part in parts),
                content_type=upload.content_type,
                etag=etag_of(parts),
                crc64=str(await asyncio.to_thread(combine, [(part.crc64, part.size_bytes) for part in parts])),
                last_modified=iso(self._world.now()),
                acl=acl,
                storage_class=upload.storage_class,
                object_type="Multipart",
                headers=upload.headers,
                tags=upload.tags,
            )
            await asyncio.to_thread(self._store, upload, parts, stored, check_overwrite)
            self._uploads.remove(upload)
        if callback is not None:
            return await self._callbacks.send(request.http, "CompleteMultipartUpload", callback, bucket.name, stored)
        members = elements(
            {
                "EncodingType": encoding,
                "Location": f"{request.http.url.origin()}{request.http.raw_path.partition('?')[0]}",
                "Bucket": bucket.name,
                "Key": encode(key),
                "ETag": stored.etag,
            }
        )
        return xml_response(
            f"<CompleteMultipartUploadResult>{members}</CompleteMultipartUploadResult>",
            headers={
                "ETag": stored.etag,
                "x-oss-hash-crc64ecma": stored.crc64,
                **encryption_header(stored.headers),
            },
        )

    def _store(self, upload: MultipartUpload, parts: list[Part], stored: StoredObject, check: Check) -> None:
        with self._objects.incoming(upload.bucket) as incoming:
            for part in parts:
                incoming.append(part.file)
            # Waiting for the disk would take seconds for a large object.
            incoming.finish(durable=False)
            self._objects.store(upload.bucket, incoming.path, stored, check)
        delete_parts(upload)


def _chosen_parts(complete_all: str | None, body: bytes, upload: MultipartUpload) -> list[Part]:
    """Return the parts of the object in order. Raise `OssError` if the list of the request is wrong."""
    if complete_all is not None and complete_all.lower() != "yes":
        raise invalid_argument("The x-oss-complete-all is invalid.", "", "x-oss-complete-all", complete_all)
    if complete_all is not None:
        if body:
            message = "The request body must be empty with x-oss-complete-all."
            raise invalid_argument(message, "0042-00000216", "x-oss-complete-all", complete_all)
        parts = [upload.parts[number] for number in sorted(upload.parts)]
        if not parts:
            raise _invalid_part()
    else:
        listed = _listed(body)
        numbers = [number for number, _ in listed]
        if any(after <= before for before, after in pairwise(numbers)):
            message = "The list of parts was not in ascending order. Parts list must specified in order by part number."
            raise OssError(400, "InvalidPartOrder", message, "0042-00000209")
        parts = [_matching(upload, number, etag) for number, etag in listed]
    for part in parts[:-1]:
        if part.size_bytes < _MIN_PART_BYTES:
            raise _too_small(part)
    return parts


def _listed(body: bytes) -> list[tuple[int, str]]:
    """Return the numbers and ETags in the body. Raise MalformedXML."""
    root = parse_xml(body, "CompleteMultipartUpload")
    if not len(root):
        raise malformed_xml()
    found = []
    for part in root:
        number, etag = part.findtext("PartNumber"), part.findtext("ETag")
        if part.tag != "Part" or number is None or etag is None:
            raise malformed_xml()
        found.append((part_number(number.strip()), etag.strip()))
    return found


def _matching(upload: MultipartUpload, number: int, etag: str) -> Part:
    """Raise InvalidPart unless this part was uploaded. The quotes of the ETag are optional."""
    part = upload.parts.get(number)
    if part is None or part.etag.strip('"') != etag.strip('"'):
        raise _invalid_part(("PartNumber", str(number)), ("ETag", etag))
    return part


def _invalid_part(*more: tuple[str, str]) -> OssError:
    message = (
        "One or more of the specified parts could not be found or the specified entity tag might not have matched "
        "the part's entity tag."
    )
    return OssError(400, "InvalidPart", message, more=more)


def _too_small(part: Part) -> OssError:
    return OssError(
        400,
        "EntityTooSmall",
        "Your proposed upload smaller than the minimum allowed size.",
        more=(
            ("ETag", part.etag),
            ("MinSizeAllowed", str(_MIN_PART_BYTES)),
            ("ProposedSize", str(part.size_bytes)),
            ("PartNumber", str(part.number)),
        ),
    )
