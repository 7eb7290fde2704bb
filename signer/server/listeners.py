"""An HTTP server on listening sockets: TCP or unix, with TLS or without."""

import asyncio
import socket
import ssl

from aiohttp import web

from signer.http.draining_server import DrainingServer
from signer.server.sockets import BACKLOG

_USER_TIMEOUT_MILLISECONDS = 10_000
_TLS_HANDSHAKE_SECONDS = 10.0
_SHUTDOWN_SECONDS = 5.0
_SHUTDOWN_WAITS = 2
"""aiohttp waits for the request in progress, and then as long again for its connection."""


class Listener:
    """Serves HTTP on one or more sockets. Create and close it in the same running event loop."""

    def __init__(self, server: DrainingServer) -> None:
        self._server = server
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS / _SHUTDOWN_WAITS)
        self._accepting: list[asyncio.AbstractServer] = []

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections on a listening socket, with TLS or plain HTTP."""
        if not self._accepting:
            await self._runner.setup()
        _end_stalled_connections(sock)
        loop = asyncio.get_running_loop()
        create_server = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
        handshake_seconds = None if tls is None else _TLS_HANDSHAKE_SECONDS
        accepting = await create_server(
            self._server, sock=sock, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=handshake_seconds
        )
        self._accepting.append(accepting)

    async def drain(self, *, seconds: float, skip: asyncio.Event) -> None:
        """Stop accepting connections; return when all open ones are closed, at the timeout, or when `skip` is set.

        Closing an idle connection at once would lose a request that its client sends at that moment: HTTP/1.1 cannot
        announce it. So each connection may send one more request; its response has `Connection: close`.
        """
        self._stop_accepting()
        self._server.is_draining = True
        waits = [asyncio.create_task(event.wait()) for event in (self._server.has_no_connections, skip)]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def close(self) -> None:
        """Close all connections; requests in progress have 5 s to finish."""
        self._stop_accepting()
        await self._runner.cleanup()

    def _stop_accepting(self) -> None:
        for accepting in self._accepting:
            accepting.close()


def _end_stalled_connections(sock: socket.socket) -> None:
    """Let the kernel end connections whose peer does not read or acknowledge; accepted sockets inherit the option.

    See: https://man7.org/linux/man-pages/man7/tcp.7.html (TCP_USER_TIMEOUT)
    """
    if sock.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MILLISECONDS)


def socket_url(sock: socket.socket, *, has_tls: bool = False) -> str:
    """Return the address of a socket: `http://host:port`, `https://host:port` or `unix:/path`."""
    if sock.family == socket.AF_UNIX:
        return f"unix:{sock.getsockname()}"
    host, port = sock.getsockname()[:2]
    return f"{'https' if has_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
