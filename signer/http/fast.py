"""One connection: aiohttp's parser, timers and flow control, and a loop of our own from each request to its reply.

aiohttp's own loop makes a task, a request and a writer for every request, since a handler may want to stream, to be
cancelled, or to keep something in context variables. None of ours does, and that takes as long as all the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import HttpVersion10
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from signer.errors import InvalidRequest
from signer.http.dispatch import Front
from signer.http.problems import problem_reply
from signer.http.request_body import skip

log = logging.getLogger("oss_signer")


class Connection(RequestHandler):
    __slots__ = ("_body", "_front", "_may_stay", "_peer")

    def __init__(self, *arguments: Any, front: Front, may_stay: Callable[[], bool], **options: Any) -> None:
        """`may_stay`: whether connections are kept open for further requests; what else is given is aiohttp's."""
        super().__init__(*arguments, **options)
        self._front = front
        self._may_stay = may_stay
        self._peer = ""
        self._body: StreamReader | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        name = transport.get_extra_info("peername")
        # Who comes through a unix socket has no address.
        self._peer = str(name[0]) if isinstance(name, tuple) else ""

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._body is not None:
            self._body.set_exception(ConnectionResetError("the client has gone"))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        body = self._body
        if body is not None and self._messages and not body.is_eof():
            # Only an error comes before the end of a body, and aiohttp leaves those who wait for the body to wait.
            body.set_exception(ConnectionError("what the client sends is no HTTP"))

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Whoever reads from a body asks for it; most were never paused."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    async def start(self) -> None:
        """Answers one request after the other, until either side wants no more."""
        try:
            stays = True
            while stays:
                if not self._messages:
                    self._waiter = self._loop.create_future()
                    try:
                        await self._waiter
                    finally:
                        self._waiter = None
                stays = await self._answer(*self._take())
        finally:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    def _take(self) -> tuple[Any, StreamReader]:
        """The next message; what the parser could not read is no `RawRequestMessage`."""
        taken = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        return taken

    async def _answer(self, message: Any, body: StreamReader) -> bool:
        """Whether another request may come."""
        self._request_in_progress = True
        self._body = body
        try:
            if isinstance(message, RawRequestMessage):
                reply = await self._front.handle(message, body, self._peer)
                # What follows a broken body, or a request to speak another protocol, is not read as HTTP.
                over = message.should_close or self._upgraded or self._close or body.exception() is not None
                stays = not over and self._may_stay()
                connection = "close" if not stays else "keep-alive" if message.version == HttpVersion10 else ""
                data = reply.encode(connection, without_body=message.method == "HEAD")
            else:
                stays = False
                data = _NO_HTTP.encode("close")
            if self.transport is None:
                return False
            self.transport.write(data)
            if self._paused:
                await self._drain_helper()
            if not body.is_eof():
                stays = await skip(body) and stays
        except ConnectionError:
            return False
        except Exception:
            log.exception("a reply cannot be sent")
            return False
        finally:
            self._body = None
            self._request_in_progress = False
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)
        if not stays or self._close or self._force_close:
            return False
        self._next_keepalive_close_time = closes_at = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(closes_at, self._process_keepalive)
        return True


_NO_HTTP = problem_reply(InvalidRequest("this is no HTTP request we understand"), "-")
