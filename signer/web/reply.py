"""An answer whose every header is ours: head and body are put together at once and go out in one write.

aiohttp's own responses can do much that is not needed here (cookies, compression, chunks, payloads of any kind), and
asking for none of it takes as long as all the rest of a request. Here is what aiohttp asks of a response, and no more:
`prepare`, `write_eof`, `keep_alive`.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import HttpVersion10, web

JSON = "application/json; charset=utf-8"
PROBLEM = "application/problem+json; charset=utf-8"

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


class Reply:
    """Bytes with a status and headers; one object answers one request."""

    __slots__ = ("_request", "body", "headers", "keep_alive", "status")

    def __init__(self, status: int, body: bytes = b"", content_type: str | None = JSON) -> None:
        self.status = status
        self.body = body
        self.headers: dict[str, str] = {} if content_type is None else {"Content-Type": content_type}
        self.keep_alive = False
        self._request: web.BaseRequest | None = None

    async def prepare(self, request: web.BaseRequest) -> None:
        """Writes all of it. Raises `ConnectionError` when the client has gone, `ValueError` for a line break."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        self._request = request
        keep_alive = self.keep_alive = request.keep_alive
        connection = ""
        if not keep_alive:
            connection = "Connection: close\r\n"
        elif request.version == HttpVersion10:
            connection = "Connection: keep-alive\r\n"
        head = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        if head.count("\n") != len(self.headers):
            raise ValueError("a line break in a header")
        if self.status != 204:
            head = f"Content-Length: {len(self.body)}\r\n{head}"
        line = _STATUS_LINES[self.status]
        text = f"{line}{head}Date: {_date(int(time.time()))}\r\nServer: oss-signer\r\n{connection}\r\n"
        data = text.encode(errors="surrogateescape")
        transport.write(data if request.method == "HEAD" else data + self.body)

    async def write_eof(self) -> None:
        """Waits while the client reads slower than we write."""
        if self._request is not None:
            await self._request.writer.drain()


def json_reply(document: Any, status: int = 200, content_type: str = JSON) -> Reply:
    return Reply(status, orjson.dumps(document), content_type)


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
