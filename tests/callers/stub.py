"""An HTTP server whose response the test chooses, and which counts requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Stub:
    def __init__(self, server: TestServer) -> None:
        self._server = server
        self.requests = 0
        self.answer: Answer = body(b"")

    @property
    def url(self) -> str:
        return str(self._server.make_url("/")).rstrip("/")

    async def close(self) -> None:
        """Stop listening."""
        await self._server.close()


@contextlib.asynccontextmanager
async def stub(answer: Answer | None = None) -> AsyncIterator[Stub]:
    async def handle(request: web.Request) -> web.StreamResponse:
        found.requests += 1
        return await found.answer(request)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    server = TestServer(app, handler_cancellation=True)
    found = Stub(server)
    if answer is not None:
        found.answer = answer
    await server.start_server(access_log=None)
    try:
        yield found
    finally:
        await server.close()


def body(content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, status=status, headers=headers)

    return answer


def document(content: Any) -> Answer:
    return body(json.dumps(content).encode())


def redirect(url: str) -> Answer:
    return body(b"", 302, {"Location": url})


async def endless(request: web.Request) -> web.StreamResponse:
    """Send spaces, which JSON allows, until the client closes the connection."""
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b" " * 65536)
    return response


class Gate:
    """Delays a response until it is opened."""

    def __init__(self, behind: Answer) -> None:
        self._behind = behind
        self._open = asyncio.Event()
        self.reached = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.reached.set()
        await self._open.wait()
        return await self._behind(request)
