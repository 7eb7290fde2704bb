"""`/v1/apps/{app_id}/multipart/s3`: multipart uploads for clients that speak Amazon S3, such as Uppy 6.

Such a client gets the URL of each request from a function. Start, list, completion and abort have the URL of this
endpoint, with the same checks as in `multipart`; only parts get URLs of OSS. GET and DELETE have no body, so the token
is in a header.

See: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
See: https://uppy.io/docs/aws-s3/
"""

import html
import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

from signer.api.multipart_request import MAX_COMPLETION_BYTES, parse_start_query
from signer.errors import InvalidRequest
from signer.http.reply import Reply
from signer.http.router import Handler
from signer.revision import Context
from signer.service import Service
from signer.signing.multipart import MAX_PARTS, MAX_TOKEN_CHARACTERS

TOKEN_HEADER = "X-Upload-Token"  # noqa: S105
_XML = "application/xml"
_START = re.compile(r"\s*(?:<\?xml [^<>]*\?>\s*)?<CompleteMultipartUpload(?: xmlns=\"[^\"<>]*\")?>\s*")
_PART = re.compile(
    r"<Part>\s*<PartNumber>([0-9]{1,5})</PartNumber>\s*<ETag>([^<>]{1,256})</ETag>\s*</Part>\s*", re.ASCII
)
_END = re.compile(r"</CompleteMultipartUpload>\s*")
"""What S3 clients send. It is not parsed as XML, so that no entity or other feature of XML is a way to attack.

Each pattern is matched once where the one before it ended, so that the time is linear in the length of the body.
"""


def multipart_s3_post_handler(service: Service) -> Handler:
    """Return the handler that starts an upload, or with a token completes it."""

    async def post(context: Context) -> Reply:
        if not context.has_header(TOKEN_HEADER):
            request, part_size = parse_start_query(context)
            started = await service.multipart.start(context, request, part_size)
            upload = started.upload
            members = {"Bucket": upload.bucket, "Key": upload.key, "UploadId": started.token}
            reply = Reply(200, allowance=started.allowance, session=started.caller.session)
            return _xml_reply("InitiateMultipartUploadResult", members, reply)
        named = _parse_parts(await context.body.read(MAX_COMPLETION_BYTES))
        completed, caller = await service.multipart.complete(context, _token(context), named)
        members = {"Location": completed.url, "Key": completed.key, "ETag": completed.etag}
        return _xml_reply("CompleteMultipartUploadResult", members, Reply(200, session=caller.session))

    return post


def multipart_s3_list_handler(service: Service) -> Handler:
    """Return the handler that lists the parts."""

    async def list_parts(context: Context) -> Reply:
        parts, caller = await service.multipart.list(context, _token(context))
        content = "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><ETag>{escape(part.etag)}</ETag>"
            f"<Size>{part.size_bytes}</Size></Part>"
            for part in parts
        )
        return _xml_reply("ListPartsResult", {}, Reply(200, session=caller.session), content)

    return list_parts


def multipart_s3_abort_handler(service: Service) -> Handler:
    """Return the handler that aborts an upload."""

    async def abort(context: Context) -> Reply:
        _, caller = await service.multipart.abort(context, _token(context))
        return Reply(204, content_type=None, session=caller.session)

    return abort


def _token(context: Context) -> str:
    token = context.header(TOKEN_HEADER)
    if token is None:
        raise InvalidRequest(f"the header {TOKEN_HEADER} is missing; send the UploadId of the start in it")
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise InvalidRequest(f"the header {TOKEN_HEADER} is too long; send the UploadId of the start in it")
    return token


def _parse_parts(body: bytes) -> Mapping[int, str]:
    """Return the ETags by part number. Raises `InvalidRequest`."""
    text = body.decode("utf-8", "replace")
    found: list[tuple[str, str]] = []
    match = _START.match(text)
    position = 0 if match is None else match.end()
    while match is not None and (match := _PART.match(text, position)) is not None:
        found.append((match[1], match[2]))
        position = match.end()
    if _END.fullmatch(text, position) is None or not 1 <= len(found) <= MAX_PARTS:
        raise InvalidRequest(
            "the body is not a CompleteMultipartUpload; send one with a Part of PartNumber and ETag for each part"
        )
    named = {int(number): html.unescape(etag) for number, etag in found}
    if len(named) < len(found):
        raise InvalidRequest("the body names a part twice; name each once")
    return named


def _xml_reply(root: str, members: Mapping[str, str], reply: Reply, content: str = "") -> Reply:
    texts = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in members.items())
    reply.body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{texts}{content}</{root}>\n'.encode()
    reply.content_type = _XML
    return reply
