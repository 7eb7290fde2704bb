"""aiohttp's low-level server, which counts its connections and can close them politely."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

_KEEPALIVE_SECONDS = 75.0
"""Above nginx's 60 s, so that nginx never sends a request on a connection that this server is closing."""


class DrainingServer(web.Server):
    """The part of both adapters that does not depend on how requests are answered. Create it in the event loop."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], **options: Any) -> None:
        self.connection_options = {
            "access_log": None,
            "keepalive_timeout": _KEEPALIVE_SECONDS,
            # A small compressed body could expand to a large one, and no client of this API compresses.
            "auto_decompress": False,
            **options,
        }
        super().__init__(handler, **self.connection_options)
        self.is_draining = False
        """Whether each response closes its connection."""
        self.has_no_connections = asyncio.Event()
        self.has_no_connections.set()
        self._connection_count = 0

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._connection_count += 1
        self.has_no_connections.clear()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._connection_count -= 1
        if not self._connection_count:
            self.has_no_connections.set()
