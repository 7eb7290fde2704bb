"""From an HTTP request to the plain values the service takes: the app's id, the context, the request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from aiohttp.streams import StreamReader
from multidict import MultiMapping
from pydantic import TypeAdapter, ValidationError
from yarl import URL

from signer.api.schemas import UploadRequestBody
from signer.errors import InvalidRequest
from signer.http.request_body import whole_body
from signer.signing.upload_rules import EMPTY_REQUEST, UploadRequest

_MAX_REMEMBERED_CHARACTERS = 256

_REFERER = re.compile(r"https://servicewechat\.com/([A-Za-z0-9_-]{1,64})/")
_WISHES = TypeAdapter(UploadRequestBody).validator
_SIZE = re.compile(r"[0-9]{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Query:
    """What a request's query says; clients ask with the same ones again and again."""

    app_id: str | None
    filename: str | None
    content_type: str | None
    size: str | None
    plain: bool
    """Whether it says nothing of the file."""

    def request(self) -> UploadRequest:
        """Raises `InvalidRequest`."""
        if self.plain:
            return EMPTY_REQUEST
        if self.size is not None and not _SIZE.fullmatch(self.size):
            raise InvalidRequest("size is a whole number of bytes")
        if self.filename is not None and len(self.filename) > 1024:
            raise InvalidRequest("filename has at most 1024 characters")
        return UploadRequest(self.filename, self.content_type, None if self.size is None else int(self.size))


def query_of(raw_path: str) -> Query:
    """`?app_id=&filename=&content_type=&size=`, all optional; the documented sample sends at most the first."""
    return _query(raw_path) if len(raw_path) <= _MAX_REMEMBERED_CHARACTERS else _read_query(raw_path)


def _read_query(raw_path: str) -> Query:
    query = URL(raw_path, encoded=True).query
    of_file = query.get("filename") or None, query.get("content_type") or None, query.get("size")
    return Query(query.get("app_id") or None, *of_file, plain=of_file == (None, None, None))


_query = lru_cache(maxsize=4096)(_read_query)


def named_app(headers: MultiMapping[str], query: Query) -> str | None:
    """`?app_id=`, else header `X-App-Id`, else the app id in the Referer that WeChat sends with each wx.request."""
    if app_id := query.app_id or headers.get("X-App-Id"):
        return app_id
    match = _REFERER.match(headers.get("Referer", ""))
    return match[1] if match else None


async def parse_body(body: StreamReader, headers: MultiMapping[str]) -> tuple[UploadRequest, str | None]:
    """The JSON body, and the wx.login code in it; none at all is an empty request.

    Raises `TooLarge`, and `InvalidRequest` that names the member.
    """
    data = await whole_body(body)
    if not data.strip():
        return EMPTY_REQUEST, None
    try:
        said: UploadRequestBody = _WISHES.validate_json(data)
    except ValidationError as error:
        if "Content-Encoding" in headers:
            raise InvalidRequest("send the body as it is, without Content-Encoding") from None
        raise InvalidRequest(_explain(error)) from None
    return UploadRequest(said.filename, said.content_type, said.size, said.vars, said.meta), said.code


def _explain(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    member = ".".join(str(step)[:64] for step in first["loc"])
    if first["type"] == "json_invalid":
        return "the body is no valid JSON"
    if first["type"] in ("model_type", "model_attributes_type"):
        return "the body is a JSON object with filename, content_type, size, vars and meta, all optional"
    if first["type"] == "extra_forbidden":
        return f"unknown member {member!r}; known: {', '.join(UploadRequestBody.model_fields)}"
    return f"{member}: {first['msg'][:1].lower()}{first['msg'][1:]}"
