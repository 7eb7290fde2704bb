"""An HTTP server on listening sockets: TCP or unix, with TLS or without."""

import asyncio
import socket
import ssl
from collections.abc import Iterator

from aiohttp import web
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from signer.http.draining_server import DrainingServer
from signer.server.acceptor import Acceptor
from signer.server.sockets import waiting_connections

_USER_TIMEOUT_MILLISECONDS = 10_000
_SOCKET_BUFFER_BYTES = 64 * 1024
_SHUTDOWN_SECONDS = 5.0
_SKIP_SECONDS = 0.01
"""With 0, aiohttp would wait forever."""
_SHUTDOWN_WAITS = 2
"""aiohttp waits for the request in progress, and then as long again for its connection."""


class Listener:
    """Serves HTTP on one or more sockets. Create and close it in the same running event loop."""

    def __init__(self, server: DrainingServer, *, name: str, max_connections: int) -> None:
        """Create a listener; `name` is for the log."""
        self._server = server
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS / _SHUTDOWN_WAITS)
        self._acceptor = Acceptor(server, name=name, max_connections=max_connections)
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.AbstractServer] = []

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections on a listening socket, with TLS or plain HTTP."""
        if not self._sockets:
            await self._runner.setup()
        self._sockets.append(sock)
        _limit_stalled_connections(sock)
        try:
            self._acceptor.accept(sock, tls)
        except NotImplementedError:  # On Windows, open connections are not limited.
            self._accepting.append(await asyncio.get_running_loop().create_server(self._server, sock=sock, ssl=tls))

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics of the connections."""
        yield GaugeMetricFamily(
            "oss_signer_connections", "Open connections to the public address.", self._server.connection_count
        )
        yield GaugeMetricFamily(
            "oss_signer_max_connections", "How many connections may be open.", self._acceptor.max_connections
        )
        yield GaugeMetricFamily(
            "oss_signer_waiting_connections",
            "Connections that wait in the kernel to be accepted; workers share them.",
            sum(map(waiting_connections, self._sockets)),
        )
        yield CounterMetricFamily(
            "oss_signer_closed_idle_connections",
            "Idle connections that were closed at the limit to accept others.",
            self._acceptor.closed_idle_count,
        )

    async def drain(self, *, seconds: float, skip: asyncio.Event) -> None:
        """Stop accepting connections; return when all open ones are closed, at the timeout, or when `skip` is set.

        Closing an idle connection at once would lose a request that its client sends at that moment: HTTP/1.1 cannot
        announce it. So each connection may send one more request; its response has `Connection: close`.
        """
        self.stop_accepting()
        waits = [asyncio.create_task(event.wait()) for event in (self._server.has_no_connections, skip)]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def close(self, *, skip: asyncio.Event | None = None) -> None:
        """Close all connections; requests in progress have 5 s to finish, or until `skip` is set."""
        self.stop_accepting()
        await self._acceptor.close()
        closing = asyncio.create_task(self._runner.cleanup())
        if skip is not None:
            skipping = asyncio.create_task(skip.wait())
            await asyncio.wait((closing, skipping), return_when=asyncio.FIRST_COMPLETED)
            skipping.cancel()
            if not closing.done():
                closing.cancel()
                await self._server.shutdown(_SKIP_SECONDS)
                closing = asyncio.create_task(self._runner.cleanup())
        await closing

    def stop_accepting(self) -> None:
        """Accept no more connections; open ones are closed with their next response."""
        self._server.is_draining = True
        self._acceptor.stop()
        for accepting in self._accepting:
            accepting.close()


def _limit_stalled_connections(sock: socket.socket) -> None:
    """Let the kernel end connections whose peer does not read or acknowledge; accepted sockets inherit the options.

    Requests and responses are small. With buffers of up to 4 MB, Linux's default, a client that pipelines requests and
    does not read would cost much memory, and the time for thousands of responses.

    See: https://man7.org/linux/man-pages/man7/tcp.7.html (TCP_USER_TIMEOUT)
    """
    if sock.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MILLISECONDS)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)


def socket_url(sock: socket.socket, *, has_tls: bool = False) -> str:
    """Return the address of a socket: `http://host:port`, `https://host:port` or `unix:/path`."""
    if sock.family == socket.AF_UNIX:
        return f"unix:{sock.getsockname()}"
    host, port = sock.getsockname()[:2]
    return f"{'https' if has_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
