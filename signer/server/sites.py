"""aiohttp's server on one of our sockets: TCP or unix, with TLS or without."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

_HANDSHAKE_SECONDS = 10.0
"""Who needs longer for TLS's first words is not waited for."""


class Site(web.SockSite):
    async def start(self) -> None:
        # SockSite's own start takes TCP alone on uvloop, and waits a minute for a handshake.
        await super(web.SockSite, self).start()
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert server is not None
        listen = loop.create_unix_server if self._sock.family == socket.AF_UNIX else loop.create_server
        self._server = await listen(
            server,
            sock=self._sock,
            backlog=self._backlog,
            ssl=self._ssl_context,
            ssl_handshake_timeout=None if self._ssl_context is None else _HANDSHAKE_SECONDS,
        )


def url_of(sock: socket.socket, *, tls: bool = False) -> str:
    """Where it is reached: `http://host:port`, `https://host:port` or `unix:/path`."""
    if sock.family == socket.AF_UNIX:
        return f"unix:{sock.getsockname()}"
    host, port = sock.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
