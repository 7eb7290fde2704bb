"""The fast adapter: one task for each connection, and each response in one write. It uses internals of aiohttp.

For every request, aiohttp creates a task, a request object, a writer and a response, because a handler may stream, be
cancelled, or set context variables. No handler of this service does any of that, and those objects cost as much as the
rest of the request.
This adapter keeps aiohttp's parser, timers and flow control and replaces the loop that answers requests.

Everything works the same without it, only slower. It runs only with verified versions of aiohttp. A version is verified
if the tests in tests/http and tests/e2e/test_wire.py pass, and the names below still have the meaning described here.
Delete the file when aiohttp has a public protocol class that passes each parsed request to a coroutine and sends the
bytes that the coroutine returns.

Undocumented parts of `aiohttp.web.RequestHandler` that this file uses. Each entry gives the purpose, and after the
arrow the change of aiohttp that would make it unnecessary:

- `start`, `_messages`, `_waiter`: take parsed requests from the queue of the connection, and wait for the next one.
  -> a public hook to answer a parsed request
- `_parser.message_consumed`, `_buffer_paused`, `_msg_queue_resume_size`, `_resume_reading_if_drained`: flow control of
  pipelined requests. -> a public method that takes the next request from the queue
- `resume_reading`, `_reading_paused`: at each read of a body, skip resuming a transport that is not paused.
  -> the same check in aiohttp
- `_paused`, `_drain_helper`: wait until the client has read what was sent. -> a public `drain` of the protocol
- `_close`, `_force_close`, `_upgraded`: whether the connection ends after this request. -> public properties
- `_request_in_progress`, `_handler_waiter`, `_task_handler`: let a shutdown wait for the request in progress.
  -> a public hook to answer a parsed request
- `_keepalive_handle`, `_keepalive_timeout`, `_next_keepalive_close_time`, `_process_keepalive`: close idle connections.
  -> a public hook to answer a parsed request
- `_loop`: the event loop. -> a public property
- `EMPTY_PAYLOAD`, `RawRequestMessage`: the body of a request without one, and a parsed request. -> documentation
- `_messages` also has errors of the parser, with the exception as `exc`. -> documentation
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NoReturn

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.http import HttpVersion10, RawRequestMessage
from multidict import MultiMapping

from signer.http.dispatch import Dispatcher
from signer.http.draining_server import DrainingServer
from signer.http.reply import Reply
from signer.http.request_body import StreamBody, skip_body
from signer.http.response_headers import FIXED_HEADERS
from signer.http.unparsable_request import unparsable_request_reply
from signer.request_context import EMPTY_BODY, RequestBody

log = logging.getLogger("oss_signer")

VERIFIED_AIOHTTP_VERSIONS = frozenset({"3.14.4", "3.14.5"})

RequestFunction = Callable[[str, str, MultiMapping[str], RequestBody, str], Awaitable[Reply]]
"""`Dispatcher.handle`: method, target, headers, body and peer address of a request."""

_NO_CONTENT = HTTPStatus.NO_CONTENT.value


class FastServer(DrainingServer):
    """Answers requests without aiohttp's request and response objects."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__(_unused_handler)
        self._handle = dispatcher.handle

    def __call__(self) -> FastConnection:
        """Return the protocol of a new connection."""
        loop = asyncio.get_running_loop()
        return FastConnection(self, self._handle, loop=loop, **self.connection_options)


class FastConnection(web.RequestHandler):
    """One connection: reads requests with aiohttp's parser and answers them in turn."""

    __slots__ = ("_body_stream", "_handle", "_peer", "_server")

    def __init__(
        self, server: FastServer, handle: RequestFunction, *, loop: asyncio.AbstractEventLoop, **options: Any
    ) -> None:
        super().__init__(server, loop=loop, **options)
        self._server = server
        self._handle = handle
        self._peer = ""
        self._body_stream: StreamReader | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Record the client's address. The base class starts the task that runs `start`."""
        super().connection_made(transport)
        name = transport.get_extra_info("peername")
        self._peer = str(name[0]) if isinstance(name, tuple) else ""  # a unix socket has no address

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wake the handler that waits for the rest of a body."""
        super().connection_lost(exc)
        if self._body_stream is not None:
            self._body_stream.set_exception(ConnectionResetError("the client disconnected"))

    def data_received(self, data: bytes) -> None:
        """Parse bytes from the client."""
        super().data_received(data)
        stream = self._body_stream
        if stream is not None and self._messages and not stream.is_eof():
            # A message before the body's end can only be a parser error, and aiohttp does not wake the body's reader.
            stream.set_exception(ConnectionError("the body is malformed"))

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Resume reading if it is paused. Each read of a body calls this, and most bodies were never paused."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    async def start(self) -> None:
        """Answer one request after the other until the connection ends."""
        try:
            is_open = True
            while is_open:
                if not self._messages:
                    self._waiter = self._loop.create_future()
                    try:
                        await self._waiter
                    finally:
                        self._waiter = None
                is_open = await self._answer(*self._next_message())
        finally:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    def _next_message(self) -> tuple[Any, StreamReader]:
        """Return the next message, a `RawRequestMessage` or the error of an unparsable request, and its body."""
        message_and_body = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        return message_and_body

    async def _answer(self, message: Any, stream: StreamReader) -> bool:
        """Answer one message; return whether the connection stays open."""
        self._request_in_progress = True
        self._server.mark_busy(self)
        self._body_stream = stream
        try:
            if isinstance(message, RawRequestMessage):
                method = message.method
                body: RequestBody = (
                    EMPTY_BODY if stream is EMPTY_PAYLOAD else StreamBody(stream, message, self.transport)
                )
                reply = await self._handle(method, message.path, message.headers, body, self._peer)
                # Close if either side requested it. After a malformed body or an Upgrade request, the rest is not HTTP.
                is_open = not (
                    message.should_close
                    or self._upgraded
                    or self._close
                    or stream.exception() is not None
                    or self._server.is_draining
                )
                connection_header = "close" if not is_open else "keep-alive" if message.version == HttpVersion10 else ""
                data = encode(reply, connection_header, with_body=method != "HEAD")
            else:
                data, is_open = encode(unparsable_request_reply(message.exc), "close"), False
            if self.transport is None:
                return False
            self.transport.write(data)
            if self._paused:
                await self._drain_helper()
            if not stream.is_eof():
                is_open = await skip_body(stream) and is_open
        except ConnectionError:
            return False
        except Exception:
            log.exception("response not sent")
            return False
        finally:
            self._body_stream = None
            self._request_in_progress = False
            self._server.mark_idle(self)
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)
        if not is_open or self._close or self._force_close:
            return False
        self._next_keepalive_close_time = closes_at = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(closes_at, self._process_keepalive)
        return True


def encode(reply: Reply, connection_header: str = "", *, with_body: bool = True) -> bytes:
    """Return the bytes of a response; raise ValueError if a header contains a line break.

    An empty `connection_header` omits the header. `with_body` is false for the response to a HEAD request.
    """
    shared = _shared_head(reply.status, reply.content_type, int(time.time()))
    if reply.status == _NO_CONTENT:  # it has no Content-Length: RFC 9110, section 8.6
        head = f"{shared}X-Request-Id: {reply.request_id}\r\n"
    else:
        head = f"{shared}X-Request-Id: {reply.request_id}\r\nContent-Length: {len(reply.body)}\r\n"
    if connection_header:
        head += f"Connection: {connection_header}\r\n"
    for name, value in reply.headers.items():
        if "\r" in value or "\n" in value:
            raise ValueError(f"the response header {name} contains a line break")
        head += f"{name}: {value}\r\n"
    data = f"{head}\r\n".encode("utf-8", "surrogateescape")
    return data + reply.body if with_body else data


@lru_cache(maxsize=64)
def _shared_head(status: int, content_type: str | None, epoch_second: int) -> str:
    """Return the status line and the headers that all responses with these values share."""
    headers = {**FIXED_HEADERS, "Date": formatdate(epoch_second, usegmt=True)}
    if content_type is not None:
        headers["Content-Type"] = content_type
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}"


async def _unused_handler(_request: web.BaseRequest) -> NoReturn:
    raise AssertionError("FastConnection answers requests itself")
