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

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes = b"", content_type: str | None = JSON) -> None:
        self.status = status
        self.body = body
        self.headers: dict[str, str] = {} if content_type is None else {"Content-Type": content_type}

    def encode(self, connection: str = "", *, without_body: bool = False) -> bytes:
        """What goes over the wire; `connection` is the header of that name, none where it is empty.

        `without_body`: the head alone, as an answer to HEAD is. Raises `ValueError` for a line break in a header.
        """
        head = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        if head.count("\n") != len(self.headers):
            raise ValueError("a line break in a header")
        if connection:
            head = f"{head}Connection: {connection}\r\n"
        if self.status != _NO_CONTENT:
            head = f"Content-Length: {len(self.body)}\r\n{head}"
        data = f"{_STATUS_LINES[self.status]}{head}{_always(int(time.time()))}\r\n".encode(errors="surrogateescape")
        return data if without_body else data + self.body


@lru_cache(maxsize=2)
def _always(second: int) -> str:
    """What every head has. No answer of ours may be kept: each is somebody's, or of this moment."""
    return f"Cache-Control: no-store\r\nDate: {formatdate(second, usegmt=True)}\r\nServer: oss-signer\r\n"


def json_reply(document: Any, status: int = 200, content_type: str = JSON) -> Reply:
    return Reply(status, orjson.dumps(document), content_type)
