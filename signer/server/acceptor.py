"""Accept connections while there is room for them; the kernel queues the others."""

import asyncio
import contextlib
import functools
import logging
import socket
import ssl

from aiohttp import web

from signer.http.draining_server import DrainingServer
from signer.server.sockets import BACKLOG

log = logging.getLogger("oss_signer")

_TLS_TIMEOUTS = {"ssl_handshake_timeout": 10.0, "ssl_shutdown_timeout": 5.0}
_RETRY_SECONDS = 1.0
_MIN_IDLE_SECONDS = 1.0
_MAX_FIRST_REQUEST_SECONDS = 5.0
"""From the end of the TLS handshake. On a bad mobile line, the second retransmission of a request is sent after 3 s."""
_SHARE_TO_CLOSE = 64
"""At the limit, one idle connection of this many is closed, so that the next ones are accepted without delay."""
_MIN_SECONDS_BETWEEN_WARNINGS = 60.0


class Acceptor:
    """Passes connections of listening sockets to a server, and keeps their number below a limit.

    At the limit, the connections that are idle for the longest time are closed. While all are busy or new, no other is
    accepted.
    """

    def __init__(self, server: DrainingServer, *, name: str, max_connections: int) -> None:
        """Create an acceptor; `name` is the listener's in the log."""
        self.max_connections = max_connections
        self.closed_idle_count = 0
        """How many idle connections were closed to accept others."""
        self._server = server
        self._name = name
        self._sockets: list[tuple[socket.socket, ssl.SSLContext | None]] = []
        self._starts: dict[asyncio.Task[None], socket.socket] = {}
        """Connections whose TLS handshake is in progress."""
        self._resuming: asyncio.TimerHandle | None = None
        """Set while nothing is accepted."""
        self._warned_at = float("-inf")

    def accept(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accept the connections of a listening socket; raise NotImplementedError on an event loop that cannot."""
        sock.setblocking(False)
        sock.listen(BACKLOG)
        asyncio.get_running_loop().add_reader(sock, self._accept_one, sock, tls)
        self._sockets.append((sock, tls))
        self._server.on_connection_closed = self._after_close

    def stop(self) -> None:
        """Close the listening sockets."""
        self._pause()
        if self._resuming is not None:
            self._resuming.cancel()
        sockets, self._sockets = self._sockets, []
        for sock, _ in sockets:
            sock.close()

    async def close(self) -> None:
        """Close the listening sockets, and the connections whose TLS handshake is in progress."""
        self.stop()
        starts = dict(self._starts)
        for start in starts:
            start.cancel()
        await asyncio.gather(*starts, return_exceptions=True)
        for connection in starts.values():
            connection.close()

    def _accept_one(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accept one connection for each turn of the event loop: a worker that is idle accepts the next one."""
        if self._resuming is not None:
            return
        try:
            connection, _ = sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # no descriptor, or no memory
            self._make_room(error.strerror or "unknown")
            return
        connection.setblocking(False)
        handler = self._server.start_connection()
        start = asyncio.create_task(self._start(handler, connection, tls))
        self._starts[start] = connection
        start.add_done_callback(functools.partial(self._end_start, handler))
        if self._server.connection_count >= self.max_connections:
            self._make_room("limit reached")

    async def _start(self, handler: web.RequestHandler, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        timeouts = {} if tls is None else _TLS_TIMEOUTS
        with contextlib.suppress(OSError):  # Any client can fail a handshake.
            await asyncio.get_running_loop().connect_accepted_socket(lambda: handler, connection, ssl=tls, **timeouts)

    def _end_start(self, handler: web.RequestHandler, start: asyncio.Task[None]) -> None:
        del self._starts[start]
        self._server.end_start(handler)

    def _make_room(self, reason: str) -> None:
        """Accept nothing until a connection is closed, and close idle ones."""
        now = asyncio.get_running_loop().time()
        if now - self._warned_at >= _MIN_SECONDS_BETWEEN_WARNINGS:
            self._warned_at = now
            fields = {"listener": self._name, "reason": reason, "open": self._server.connection_count}
            log.warning("no room for more connections", extra={**fields, "limit": self.max_connections})
        self._pause()
        self._resuming = asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._retry)
        self.closed_idle_count += self._server.close_idle_connections(
            min_idle_seconds=_MIN_IDLE_SECONDS,
            max_first_request_seconds=_MAX_FIRST_REQUEST_SECONDS,
            max_count=1 + self.max_connections // _SHARE_TO_CLOSE,
        )

    def _retry(self) -> None:
        if self._server.connection_count < self.max_connections:
            self._resume()
        else:
            self._make_room("limit reached")

    def _pause(self) -> None:
        for sock, _ in self._sockets:
            asyncio.get_running_loop().remove_reader(sock)

    def _resume(self) -> None:
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
            for sock, tls in self._sockets:
                asyncio.get_running_loop().add_reader(sock, self._accept_one, sock, tls)

    def _after_close(self) -> None:
        if self._resuming is not None and self._server.connection_count < self.max_connections:
            self._resume()
