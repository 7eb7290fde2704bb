"""CopyObject.

See: https://help.aliyun.com/zh/oss/developer-reference/copyobject
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from aiohttp import web

from localcloud.addressing import check_key
from localcloud.get_object import check_readable, find, is_unmodified
from localcloud.object_headers import (
    DEFAULT_TYPE,
    ENCRYPTION,
    acl_of,
    encryption_header,
    overwrite_check,
    storage_class_of,
    stored_headers,
)
from localcloud.object_tags import tags_of
from localcloud.objects import Check, Objects, StoredObject
from localcloud.oss_errors import OssError, invalid_argument, not_implemented
from localcloud.oss_request import OssRequest
from localcloud.oss_xml import elements, oss_time, xml_response
from localcloud.world import World, iso

_CONDITION = "x-oss-copy-source-"


async def copy_object(world: World, objects: Objects, request: OssRequest) -> web.Response:
    sent, bucket, key = request.headers, request.bucket, request.key
    source_bucket, source_key = _source(sent["x-oss-copy-source"])
    source = _readable_source(world, objects, request, source_bucket, source_key)
    _check_conditions(sent, source)
    check_readable(objects, source_bucket, source_key)
    check_overwrite = overwrite_check(sent, "0026-00000002")
    is_same = (source_bucket, source_key) == (bucket.name, key)
    replaces = _replaces(sent, "x-oss-metadata-directive")
    if source.object_type == "Appendable" and not is_same:
        raise OssError(400, "OperationNotSupported", "The operation is not supported for this appendable object.")
    given = stored_headers(sent)
    copied = given if replaces else {**source.headers, **encryption_header(given)}
    stored = replace(
        source,
        key=key,
        content_type=sent.get("Content-Type", DEFAULT_TYPE) if replaces else source.content_type,
        last_modified=iso(world.now()),
        acl=acl_of(sent),
        storage_class=storage_class_of(sent) if "x-oss-storage-class" in sent else source.storage_class,
        headers=copied if ENCRYPTION in given else {name: copied[name] for name in copied if name != ENCRYPTION},
        tags=tags_of(request) if _replaces(sent, "x-oss-tagging-directive") else source.tags,
    )
    await asyncio.to_thread(_copy, objects, source_bucket, source_key, bucket.name, stored, check_overwrite)
    members = elements({"LastModified": oss_time(stored.last_modified), "ETag": stored.etag})
    return xml_response(
        f"<CopyObjectResult>{members}</CopyObjectResult>",
        headers={"ETag": stored.etag, "x-oss-hash-crc64ecma": stored.crc64, **encryption_header(stored.headers)},
    )


def _copy(
    objects: Objects, source_bucket: str, source_key: str, bucket: str, stored: StoredObject, check: Check
) -> None:
    with objects.incoming(bucket) as incoming:
        incoming.append(objects.file(source_bucket, source_key))
        incoming.finish()
        objects.store(bucket, incoming.path, stored, check)


def _source(text: str) -> tuple[str, str]:
    """Return bucket and key of `/bucket/URL-encoded key`."""
    path, _, version = text.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if version:
        raise not_implemented("The versionId of x-oss-copy-source", "x-oss-copy-source")
    if not path.startswith("/") or not bucket or not key:
        message = "Copy Source must mention the source bucket and key: /sourcebucket/sourcekey."
        raise invalid_argument(message, "", "x-oss-copy-source", text)
    check_key(key)
    return bucket, key


def _readable_source(world: World, objects: Objects, request: OssRequest, bucket: str, key: str) -> StoredObject:
    """Return the source. The signer must be allowed to read it, and it must be in the same region."""
    found = world.buckets.get(bucket)
    if found is None:
        raise OssError(404, "NoSuchBucket", "The specified bucket does not exist.", "0015-00000101")
    if found.region != request.bucket.region:
        raise OssError(403, "AccessDenied", "Target object does not reside in the same data center as source object.")
    if request.signer is not None:
        request.signer.check_permission("oss:GetObject", bucket, key)
    return find(objects, bucket, key)


def _check_conditions(sent: Mapping[str, str], source: StoredObject) -> None:
    conditions = {
        name.lower().removeprefix(_CONDITION): value
        for name, value in sent.items()
        if name.lower().startswith(f"{_CONDITION}if-")
    }
    if is_unmodified(conditions, source):
        raise OssError(304, "NotModified", "The source object was not modified.")


def _replaces(sent: Mapping[str, str], name: str) -> bool:
    directive = sent.get(name, "COPY").upper()
    if directive not in ("COPY", "REPLACE"):
        raise invalid_argument(f"The {name} is invalid.", "", name, directive)
    return directive == "REPLACE"
