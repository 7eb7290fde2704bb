"""PostObject: parses the multipart form as a stream and writes the file to disk.

See: https://help.aliyun.com/zh/oss/developer-reference/postobject
See: https://help.aliyun.com/zh/oss/support/0006-00000103 and .../0006-00000107
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from localcloud.addressing import check_key
from localcloud.callback_config import parse_callback
from localcloud.callbacks import Callbacks
from localcloud.calls import CALL
from localcloud.object_headers import (
    DEFAULT_TYPE,
    acl_of,
    check_header,
    overwrite_check,
    storage_class_of,
    stored_headers,
)
from localcloud.objects import Incoming, Objects, StoredObject
from localcloud.oss_errors import OssError, invalid_argument, not_implemented
from localcloud.oss_request import OssRequest
from localcloud.post_policy import Policy, check_conditions, check_expiration, parse_policy
from localcloud.post_signature import Signer, verify
from localcloud.world import Bucket, World, iso

_MAX_NAME_BYTES = 8 * 1024
_MAX_VALUE_BYTES = 2 * 2**20
_MAX_VALUES_BYTES = 8 * 2**20
_CHUNK_BYTES = 256 * 1024
_UNREADABLE = (ValueError, RuntimeError, HttpProcessingError)
"""What aiohttp raises for a body that is no form."""
_FIELDS = frozenset(
    {
        "x-oss-signature-version",
        "x-oss-credential",
        "x-oss-date",
        "x-oss-signature",
        "x-oss-security-token",
        "x-oss-content-type",
        "x-oss-object-acl",
        "x-oss-storage-class",
        "x-oss-forbid-overwrite",
        "x-oss-server-side-encryption",
    }
)
"""The implemented `x-oss-` fields."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields before the file, by lower-case name, and the headers of the file part."""

    fields: dict[str, str]
    filename: str
    content_type: str | None


async def post_object(world: World, objects: Objects, callbacks: Callbacks, oss_request: OssRequest) -> web.Response:
    request, bucket = oss_request.http, oss_request.bucket
    if request.content_type != "multipart/form-data":
        message = "Bucket POST must be of the enclosure-type multipart/form-data."
        raise OssError(400, "RequestIsNotMultiPartContent", message)
    if "Content-MD5" in request.headers:
        raise not_implemented("The header Content-MD5 of PostObject", "Content-MD5")
    try:
        reader = await request.multipart()
        form, part = await _fields(reader)
    except LineTooLong:
        # aiohttp's limit for a header line of a part, 8190 bytes, is just below OSS's own.
        raise OssError(400, "FieldItemTooLong", "Your form field is too long.") from None
    except _UNREADABLE:
        raise _malformed() from None
    request[CALL].who = _key(form)
    signer, policy, key = _check_form(request, world, form, bucket)
    variables = {name: value for name, value in form.fields.items() if name.startswith("x:")}
    callback = parse_callback(form.fields["callback"], variables) if "callback" in form.fields else None
    with objects.incoming(bucket.name) as incoming:
        await _receive(part, incoming, *policy.size_range)
        await _check_end(reader)
        # OSS checks the expiration when the complete request has arrived.
        check_expiration(policy, world.now())
        verify(world, form.fields, bucket)
        signer.check_permission("oss:PutObject", bucket.name, key)
        await asyncio.to_thread(incoming.finish)
        stored = _stored(form, request, key, incoming, iso(world.now()))
        check_overwrite = overwrite_check(form.fields, "")
        await asyncio.to_thread(objects.store, bucket.name, incoming.path, stored, check_overwrite)
    if callback is not None:
        return await callbacks.send(request, "PostObject", callback, bucket.name, stored)
    return _success(request, form.fields, bucket, stored)


def _malformed() -> OssError:
    message = "The body of your POST request is not well-formed multipart/form-data."
    return OssError(400, "MalformedPOSTRequest", message, "0006-00000103")


def _not_one_file(ec: str = "") -> OssError:
    message = "POST requires exactly one file upload per request."
    return OssError(400, "IncorrectNumberOfFilesInPOSTRequest", message, ec)


async def _fields(reader: MultipartReader) -> tuple[Form, BodyPartReader]:
    """Return everything before the file, and the file part.

    OSS does not document which value of a repeated field counts: the form is refused.
    """
    fields: dict[str, str] = {}
    total = 0
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise _malformed()
        name = part.name.lower()
        if len(part.name.encode()) > _MAX_NAME_BYTES:
            raise OssError(400, "FieldItemTooLong", "Your form field is too long.")
        if name == "file":
            return Form(fields, part.filename or "", part.headers.get("Content-Type")), part
        if name in fields:
            raise _malformed()
        value = await _value(part)
        total += len(value)
        if total > _MAX_VALUES_BYTES:
            raise OssError(400, "FieldItemTooLong", "Your form fields are too long.", "0006-00000112")
        try:
            fields[name] = value.decode("utf-8")
        except UnicodeDecodeError:
            raise _malformed() from None
    raise _not_one_file("0006-00000107")


async def _check_end(reader: MultipartReader) -> None:
    """Raise `OssError` if a field follows the file. Samples of the documentation send `submit` there."""
    try:
        while (part := await reader.next()) is not None:
            name = part.name.lower() if isinstance(part, BodyPartReader) and part.name else ""
            if name != "submit":
                raise _not_one_file() if name == "file" else _malformed()
            await part.release()
    except _UNREADABLE:
        raise _malformed() from None


async def _value(part: BodyPartReader) -> bytes:
    value = bytearray()
    while chunk := await part.read_chunk(_CHUNK_BYTES):
        value += chunk
        if len(value) > _MAX_VALUE_BYTES:
            raise OssError(400, "FieldItemTooLong", "Your form field is too long.")
    return bytes(value)


def _check_form(request: web.Request, world: World, form: Form, bucket: Bucket) -> tuple[Signer, Policy, str]:
    """Check everything that does not need the file."""
    fields = form.fields
    if not fields.get("key"):
        message = (
            "The bucket POST must contain the specified 'key'. "
            "If it is specified, please check the order of the fields."
        )
        raise invalid_argument(message, "", "key")
    signer = verify(world, fields, bucket)
    policy = parse_policy(fields["policy"])
    check_expiration(policy, world.now())
    check_conditions(policy, fields, bucket.name)
    key = _key(form)
    check_key(key)
    signer.check_permission("oss:PutObject", bucket.name, key)
    stored_headers(fields)
    _content_type(form)
    check_header("success_action_redirect", fields.get("success_action_redirect", ""))
    acl_of(_acl_source(request, fields))
    storage_class_of(fields)
    if "x-oss-tagging" in fields:
        raise invalid_argument("x-oss-tagging is not allowed in POST.", "", "x-oss-tagging")
    for name in fields:
        is_foreign = name.startswith("x-oss-") and not name.startswith("x-oss-meta-") and name not in _FIELDS
        # `acl` is a field of forms as for Amazon S3, which OSS accepts too.
        if is_foreign or name == "acl" or name.startswith("x-amz-"):
            raise not_implemented(f"The form field {name}", name)
    return signer, policy, key


def _key(form: Form) -> str:
    return form.fields.get("key", "").replace("${filename}", form.filename)


async def _receive(part: BodyPartReader, incoming: Incoming, minimum: int, maximum: int) -> None:
    try:
        while chunk := await part.read_chunk(_CHUNK_BYTES):
            await incoming.write(chunk)
            if incoming.size_bytes > maximum:
                message = "Your proposed upload exceeds the maximum allowed size."
                raise OssError(400, "EntityTooLarge", message, "0006-00000003")
    except _UNREADABLE:
        raise _malformed() from None
    if incoming.size_bytes < minimum:
        message = "Your proposed upload is smaller than the minimum allowed size."
        raise OssError(400, "EntityTooSmall", message, "0006-00000004")


def _content_type(form: Form) -> str:
    fields = form.fields
    found = fields.get("x-oss-content-type") or fields.get("content-type") or form.content_type
    return check_header("Content-Type", found or DEFAULT_TYPE)


def _acl_source(request: web.Request, fields: Mapping[str, str]) -> Mapping[str, str]:
    """Return what holds the ACL: the field is stronger than the header."""
    return fields if "x-oss-object-acl" in fields else request.headers


def _stored(form: Form, request: web.Request, key: str, incoming: Incoming, now: str) -> StoredObject:
    """The ETag of a posted object is a UUID, not its MD5."""
    fields = form.fields
    return StoredObject(
        key=key,
        size_bytes=incoming.size_bytes,
        content_type=_content_type(form),
        etag=f'"{uuid.uuid4().hex.upper()}"',
        crc64=str(incoming.crc64),
        last_modified=now,
        acl=acl_of(_acl_source(request, fields)),
        storage_class=storage_class_of(fields),
        headers=stored_headers(fields),
    )


def _success(request: web.Request, fields: dict[str, str], bucket: Bucket, stored: StoredObject) -> web.Response:
    headers = {"ETag": stored.etag, "x-oss-hash-crc64ecma": stored.crc64}
    if redirect := fields.get("success_action_redirect"):
        joint = "&" if "?" in redirect else "?"
        query = urlencode({"bucket": bucket.name, "key": stored.key, "etag": stored.etag})
        return web.Response(status=303, headers={**headers, "Location": redirect + joint + query})
    status = fields.get("success_action_status", "204")
    if status != "201":
        return web.Response(status=200 if status == "200" else 204, headers=headers)
    members = {
        "Bucket": bucket.name,
        "Location": f"{request.url.origin()}{request.path.rstrip('/')}/{quote(stored.key)}",
        "Key": stored.key,
        "ETag": stored.etag,
    }
    body = "".join(f"\n  <{name}>{escape(value)}</{name}>" for name, value in members.items())
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{body}\n</PostResponse>\n'
    return web.Response(status=201, text=text, content_type="application/xml", headers=headers)
