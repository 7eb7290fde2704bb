"""aiohttp's low-level server on a socket: no application, no router, no middleware between a request and its front."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from signer.http.dispatch import Front
from signer.http.fast import Connection

_SHUTDOWN_SECONDS = 5.0
_WAITS = 2
"""aiohttp waits for a request under way, and then for as long again for its connection."""
_KEEPALIVE_SECONDS = 75.0
"""Above nginx's own 60 s, so that it is never we who close a connection it is about to use."""


class _Server(web.Server):
    def __init__(self, front: Front) -> None:
        super().__init__(
            _never,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            # A small body that unpacks to a large one is nothing that any client of ours sends.
            auto_decompress=False,
        )
        self._front = front
        self._open = 0
        self.draining = False
        self.unused = asyncio.Event()
        """Set while there is no connection."""
        self.unused.set()

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, front=self._front, may_stay=lambda: not self.draining, **self._kwargs)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._open += 1
        self.unused.clear()

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._open -= 1
        if not self._open:
            self.unused.set()


async def _never(_request: web.BaseRequest) -> NoReturn:
    raise AssertionError("a Connection asks its front")


def runner(front: Front) -> web.ServerRunner:
    """Not yet set up; its `cleanup` lets requests under way end, for 5 s at most."""
    return web.ServerRunner(_Server(front), shutdown_timeout=_SHUTDOWN_SECONDS / _WAITS)


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
