"""An answer whose every header is ours: bytes that go out in one write."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import orjson

JSON = "application/json; charset=utf-8"
PROBLEM = "application/problem+json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_NO_CONTENT = HTTPStatus.NO_CONTENT.value


class Reply:
    """Bytes with a status and headers; one object answers one request."""

    __slots__ = ("body", "content_type", "headers", "request_id", "status")

    def __init__(self, status: int, body: bytes = b"", content_type: str | None = JSON) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers: dict[str, str] = {}
        """Those that it has besides."""
        self.request_id = "-"

    def encode(self, connection: str = "", *, without_body: bool = False) -> bytes:
        """What goes over the wire; `connection` is the header of that name, none where it is empty.

        `without_body`: the head alone, as an answer to HEAD is. Raises `ValueError` for a line break in a header.
        """
        head = f"{_STATUS_LINES[self.status]}X-Request-Id: {self.request_id}\r\n{_always(int(time.time()))}"
        if self.status != _NO_CONTENT:
            head += f"Content-Length: {len(self.body)}\r\n"
        if self.content_type is not None:
            head += f"Content-Type: {self.content_type}\r\n"
        if connection:
            head += f"Connection: {connection}\r\n"
        for name, value in self.headers.items():
            if "\r" in value or "\n" in value:
                raise ValueError("a line break in a header")
            head += f"{name}: {value}\r\n"
        data = f"{head}\r\n".encode(errors="surrogateescape")
        return data if without_body else data + self.body


@lru_cache(maxsize=2)
def _always(second: int) -> str:
    """What every head has. No answer of ours may be kept: each is somebody's, or of this moment."""
    return f"Cache-Control: no-store\r\nDate: {formatdate(second, usegmt=True)}\r\nServer: oss-signer\r\n"


def json_reply(document: Any, status: int = 200, content_type: str = JSON) -> Reply:
    return Reply(status, orjson.dumps(document), content_type)
