"""aiohttp's low-level server, which counts its connections and can close them politely."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from signer.http.unparsable_request import MAX_HEADER_BYTES, MAX_TARGET_BYTES

_KEEPALIVE_SECONDS = 75.0
"""Above nginx's 60 s, so that nginx never sends a request on a connection that this server is closing."""
_MAX_UNSENT_BYTES = 64 * 1024
"""Beyond it, a connection answers no request until its client has read; the default with TLS is eight times as much."""


class DrainingServer(web.Server):
    """The part of both adapters that does not depend on how requests are answered. Create it in the event loop."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], **options: Any) -> None:
        self.connection_options = {
            "access_log": None,
            "keepalive_timeout": _KEEPALIVE_SECONDS,
            # A small compressed body could expand to a large one, and no client of this API compresses.
            "auto_decompress": False,
            "max_line_size": MAX_TARGET_BYTES,
            "max_field_size": MAX_HEADER_BYTES,
            **options,
        }
        super().__init__(handler, **self.connection_options)
        self.is_draining = False
        """Whether each response closes its connection."""
        self.has_no_connections = asyncio.Event()
        self.has_no_connections.set()
        self.on_connection_closed: Callable[[], None] = lambda: None
        """Called after a connection was closed."""
        self._starting: set[web.RequestHandler] = set()
        """Accepted, and not ready for requests yet: the TLS handshake is in progress."""
        self._open: dict[web.RequestHandler, asyncio.Transport] = {}
        self._idle_since: dict[web.RequestHandler, float] = {}
        """Those whose last request was answered, with the event loop's time; the oldest are first."""
        self._unused_since: dict[web.RequestHandler, float] = {}
        """The same of those whose first request has not arrived yet."""
        self._loop_time = asyncio.get_running_loop().time

    @property
    def connection_count(self) -> int:
        """The number of connections, each of which is an open file."""
        return len(self._starting) + len(self._open)

    def start_connection(self) -> web.RequestHandler:
        """Return the protocol of an accepted connection, which counts from now on."""
        handler = self()
        self._starting.add(handler)
        self.has_no_connections.clear()
        return handler

    def end_start(self, handler: web.RequestHandler) -> None:
        """Forget the connection if its TLS handshake failed."""
        if handler in self._starting:
            self._starting.discard(handler)
            self._report_closed()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        transport.set_write_buffer_limits(high=_MAX_UNSENT_BYTES)
        self._starting.discard(handler)
        self._open[handler] = transport
        self._unused_since[handler] = self._loop_time()
        self.has_no_connections.clear()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        for connections in (self._open, self._idle_since, self._unused_since):
            connections.pop(handler, None)
        self._report_closed()

    def mark_busy(self, handler: web.RequestHandler) -> None:
        """Record the start of a request."""
        if self._idle_since.pop(handler, None) is None:
            self._unused_since.pop(handler, None)

    def mark_idle(self, handler: web.RequestHandler) -> None:
        """Record the end of a request, whose response is written."""
        if handler in self._open:
            self._idle_since[handler] = self._loop_time()

    def close_idle_connections(
        self, *, min_idle_seconds: float, max_first_request_seconds: float, max_count: int
    ) -> int:
        """Close the connections that are idle for the longest time, and return their number.

        Args:
            min_idle_seconds: how long a connection must have been idle since its last response.
            max_first_request_seconds: how long the first request of a connection may take to arrive.
        """
        closed = 0
        for idle_since, min_seconds in (
            (self._idle_since, min_idle_seconds),
            (self._unused_since, max_first_request_seconds),
        ):
            since = self._loop_time() - min_seconds
            oldest = list(itertools.islice(idle_since.items(), max_count - closed))
            handlers = [handler for handler, each in oldest if each <= since]
            for handler in handlers:
                del idle_since[handler]
                # With TLS, `close` would wait for the client's answer.
                self._open[handler].abort()
            closed += len(handlers)
        return closed

    def _report_closed(self) -> None:
        if not self.connection_count:
            self.has_no_connections.set()
        self.on_connection_closed()
