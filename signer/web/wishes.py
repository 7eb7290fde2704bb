"""From an HTTP request to the plain values the service takes: the app's id, the evidence, the wish."""

from __future__ import annotations

import asyncio
import re

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import ValidationError

from signer.errors import InvalidRequest
from signer.policy import Wish
from signer.web.bodies import UploadWish

MAX_BODY_BYTES = 64 * 1024
_BODY_SECONDS = 10.0

_REFERER = re.compile(r"https://servicewechat\.com/([A-Za-z0-9_-]{1,64})/")
_SIZE = re.compile(r"[0-9]{1,16}", re.ASCII)


def named_app(request: web.BaseRequest) -> str | None:
    """`?app_id=`, else header `X-App-Id`, else the app id in the Referer that WeChat sends with each wx.request."""
    if app_id := request.query.get("app_id") or request.headers.get("X-App-Id"):
        return app_id
    match = _REFERER.match(request.headers.get("Referer", ""))
    return match[1] if match else None


def wish_in_query(request: web.BaseRequest) -> Wish:
    """`?filename=&content_type=&size=`, all optional; the documented sample sends none."""
    query = request.query
    size = query.get("size")
    if size is not None and not _SIZE.fullmatch(size):
        raise InvalidRequest("size is a whole number of bytes")
    filename = query.get("filename") or None
    if filename is not None and len(filename) > 1024:
        raise InvalidRequest("filename has at most 1024 characters")
    return Wish(filename, query.get("content_type") or None, None if size is None else int(size))


async def whole_body(request: web.BaseRequest) -> bytes:
    """Raises `InvalidRequest` for a body that breaks off, is no HTTP or comes too slowly."""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise InvalidRequest(f"the body did not arrive within {_BODY_SECONDS:g} s") from None
    except (ConnectionError, HttpProcessingError, ClientPayloadError):
        raise InvalidRequest("the body broke off") from None


async def wish_in_body(request: web.BaseRequest) -> tuple[Wish, str | None]:
    """The JSON body, and the wx.login code in it; none at all is an empty wish.

    Raises `InvalidRequest` that names the member.
    """
    data = await whole_body(request)
    if not data.strip():
        return Wish(), None
    try:
        body = UploadWish.model_validate_json(data)
    except ValidationError as error:
        raise InvalidRequest(_explain(error)) from None
    return Wish(body.filename, body.content_type, body.size, body.vars, body.meta), body.code


def _explain(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    member = ".".join(str(step)[:64] for step in first["loc"])
    if first["type"] == "json_invalid":
        return "the body is no valid JSON"
    if first["type"] in ("model_type", "model_attributes_type"):
        return "the body is a JSON object with filename, content_type, size, vars and meta, all optional"
    if first["type"] == "extra_forbidden":
        return f"unknown member {member!r}; known: {', '.join(UploadWish.model_fields)}"
    return f"{member}: {first['msg'][:1].lower()}{first['msg'][1:]}"
