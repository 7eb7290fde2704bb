"""`POST /v1/apps/{app_id}/multipart` and below: uploads of large files in parts."""

from collections.abc import Sequence

from signer.api.json_body import with_code
from signer.api.multipart_request import (
    parse_completion_request,
    parse_parts_request,
    parse_start_request,
    parse_token_request,
)
from signer.clock import rfc3339
from signer.http.reply import Reply, json_reply
from signer.http.router import Handler
from signer.revision import Context
from signer.service import Service
from signer.signing.multipart import PART_HEADERS, SignedPart


def multipart_start_handler(service: Service) -> Handler:
    """Return the handler of `POST /v1/apps/{app_id}/multipart`."""

    async def start_multipart(context: Context) -> Reply:
        request, body = await parse_start_request(context)
        started = await service.multipart.start(with_code(context, body.code), request, body.part_size)
        document = {
            "upload": started.token,
            "key": started.upload.key,
            "part_size": started.upload.part_size_bytes,
            "part_count": started.upload.part_count,
            "parts": _part_documents(started.parts),
            "expires_at": rfc3339(started.upload.expires_at),
        }
        return json_reply(document, 201, allowance=started.allowance, session=started.caller.session)

    return start_multipart


def multipart_parts_handler(service: Service) -> Handler:
    """Return the handler of `POST /v1/apps/{app_id}/multipart/parts`."""

    async def sign_parts(context: Context) -> Reply:
        body = await parse_parts_request(context)
        parts, caller = await service.multipart.sign(with_code(context, body.code), body.upload, body.part_numbers)
        return json_reply({"parts": _part_documents(parts)}, session=caller.session)

    return sign_parts


def multipart_list_handler(service: Service) -> Handler:
    """Return the handler of `POST /v1/apps/{app_id}/multipart/list`."""

    async def list_parts(context: Context) -> Reply:
        body = await parse_token_request(context)
        parts, caller = await service.multipart.list(with_code(context, body.code), body.upload)
        document = [{"part_number": part.number, "size": part.size_bytes, "etag": part.etag} for part in parts]
        return json_reply({"parts": document}, session=caller.session)

    return list_parts


def multipart_complete_handler(service: Service) -> Handler:
    """Return the handler of `POST /v1/apps/{app_id}/multipart/complete`."""

    async def complete_multipart(context: Context) -> Reply:
        body = await parse_completion_request(context)
        completed, caller = await service.multipart.complete(
            with_code(context, body.code), body.upload, body.etags_by_number()
        )
        document = {
            "key": completed.key,
            "url": completed.url,
            "etag": completed.etag,
            "size": completed.size_bytes,
        }
        if completed.has_callback:
            document["callback"] = completed.callback
        return json_reply(document, session=caller.session)

    return complete_multipart


def multipart_abort_handler(service: Service) -> Handler:
    """Return the handler of `POST /v1/apps/{app_id}/multipart/abort`."""

    async def abort_multipart(context: Context) -> Reply:
        body = await parse_token_request(context)
        _, caller = await service.multipart.abort(with_code(context, body.code), body.upload)
        return Reply(204, content_type=None, session=caller.session)

    return abort_multipart


def _part_documents(parts: Sequence[SignedPart]) -> list[dict[str, object]]:
    return [
        {
            "part_number": part.number,
            "method": "PUT",
            "url": part.url,
            "headers": dict(PART_HEADERS),
            "size": part.size_bytes,
            "expires_at": rfc3339(part.expires_at),
        }
        for part in parts
    ]
