"""Reads the body of a request up to a limit, or skips it."""

import asyncio
from typing import Protocol

from aiohttp import HttpVersion, HttpVersion11, StreamReader, web
from multidict import MultiMapping

from signer.errors import InvalidRequest, TooLarge
from signer.request_context import MAX_BODY_BYTES

_READ_TIMEOUT_SECONDS = 10.0
_MAX_SKIPPED_BYTES = 16 * 2**20
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BROKEN = (ConnectionError, RuntimeError, web.RequestPayloadError)
"""What reading a stream raises. aiohttp raises RuntimeError if the client disconnected before the first read."""


class RequestHead(Protocol):
    """The parts of a request's head that its body depends on."""

    @property
    def version(self) -> HttpVersion: ...

    @property
    def headers(self) -> MultiMapping[str]: ...


class StreamBody:
    """The body of a request that a server receives as a stream."""

    __slots__ = ("_head", "_stream", "_transport")

    def __init__(self, stream: StreamReader, head: RequestHead, transport: asyncio.WriteTransport | None) -> None:
        """Create a body; `transport`, the connection to the client for 100 Continue, is None if it is closed."""
        self._stream = stream
        self._head = head
        self._transport = transport

    async def read(self, max_bytes: int = MAX_BODY_BYTES) -> bytes:
        """Return the whole body; send 100 Continue to a client that waits for it.

        Raises `TooLarge`, or `InvalidRequest` if the body is incomplete, malformed or too slow.

        See: https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
        """
        try:
            if self._stream.is_eof():
                # It arrived together with the head, as small bodies do.
                data = self._stream.read_nowait()
            else:
                self._refuse_declared_length(max_bytes)
                self._send_continue()
                async with asyncio.timeout(_READ_TIMEOUT_SECONDS):
                    data = await self._read_stream(max_bytes)
        except TimeoutError:
            raise InvalidRequest(f"the body did not arrive within {_READ_TIMEOUT_SECONDS:g} s; send it again") from None
        except _BROKEN:
            raise InvalidRequest("the body is incomplete or malformed; send it again") from None
        if len(data) > max_bytes:
            raise _too_large(max_bytes)
        return data

    def _refuse_declared_length(self, max_bytes: int) -> None:
        length = self._head.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > max_bytes:
            raise _too_large(max_bytes)

    def _send_continue(self) -> None:
        is_expected = self._head.headers.get("Expect", "").lower() == "100-continue"
        if is_expected and self._head.version >= HttpVersion11 and self._transport is not None:
            self._transport.write(_CONTINUE)

    async def _read_stream(self, max_bytes: int) -> bytes:
        """Return the whole body, or more than `max_bytes` of it."""
        data = bytearray()
        while len(data) <= max_bytes and not self._stream.at_eof():
            data += await self._stream.readany()
        return bytes(data)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body has more than {max_bytes} bytes; send fewer files or keys, and their content to OSS")


async def skip_body(stream: StreamReader) -> bool:
    """Discard the rest of a body that no handler read; return whether it ended within 16 MiB and 10 s.

    If so, the connection can serve another request. Closing the connection instead could destroy the response before a
    client that still sends has read it.
    """
    skipped = 0
    try:
        async with asyncio.timeout(_READ_TIMEOUT_SECONDS):
            while not stream.is_eof() and skipped <= _MAX_SKIPPED_BYTES:
                skipped += len(await stream.readany())
    except (TimeoutError, *_BROKEN):
        return False
    return stream.is_eof()
