"""aiohttp's low-level server on a socket: no application, no router, no middleware between a request and its front."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from signer.errors import InvalidRequest
from signer.web.front import Front
from signer.web.problems import problem_reply

_SHUTDOWN_SECONDS = 5.0
_KEEPALIVE_SECONDS = 75.0
"""Above nginx's own 60 s, so that it is never we who close a connection it is about to use."""


class _Connection(RequestHandler):
    server: _Server

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp cannot read as HTTP gets a problem like the rest, and no traceback in the log."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer is under way already")
        problem = problem_reply(InvalidRequest("this is no HTTP request we understand"), "-")
        response = web.Response(body=problem.body, status=problem.status, headers=problem.headers)
        response.force_close()
        return response


class _Request(web.BaseRequest):
    server: _Server

    @property
    def keep_alive(self) -> bool:
        """Whether the answer leaves the connection open; it says `Connection: close` when we are about to end."""
        return super().keep_alive and not self.server.draining


class _Server(web.Server):
    draining = False

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._open -= 1
        if not self._open:
            self.unused.set()

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._open += 1
        self.unused.clear()

    def __init__(self, front: Front, max_body_bytes: int) -> None:
        super().__init__(
            # A Reply offers all that aiohttp asks of a response.
            cast(Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], front.handle),
            request_factory=self._request,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_SECONDS,
        )
        self._max_body_bytes = max_body_bytes
        self._open = 0
        self.unused = asyncio.Event()
        """Set while there is no connection."""
        self.unused.set()

    def __call__(self) -> RequestHandler:
        connection = _Connection(self, loop=self._loop, **self._kwargs)
        connection.server = self
        return connection

    def _request(
        self, message: RawRequestMessage, payload: StreamReader, protocol: Any, writer: Any, task: asyncio.Task[None]
    ) -> web.BaseRequest:
        request = _Request(message, payload, protocol, writer, task, self._loop, client_max_size=self._max_body_bytes)
        request.server = self
        return request


def runner(front: Front, *, max_body_bytes: int) -> web.ServerRunner:
    """Not yet set up; its `cleanup` lets requests under way end, for 5 s at most."""
    return web.ServerRunner(_Server(front, max_body_bytes), shutdown_timeout=_SHUTDOWN_SECONDS)


async def drain(listener: web.ServerRunner, *, seconds: float, hurry: asyncio.Event) -> None:
    """Stops accepting, and answers what still comes on the connections that are open, each with `Connection: close`.

    To close an idle connection at once would lose the request that its client sends just then; HTTP has no way to tell
    it beforehand. So each may send one more, until none is left, the time is up or there is no time.
    """
    for site in listener.sites:
        await site.stop()
    server = listener.server
    if not isinstance(server, _Server):
        raise TypeError("not a listener that was made here")
    server.draining = True
    waits = [asyncio.create_task(event.wait()) for event in (server.unused, hurry)]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
