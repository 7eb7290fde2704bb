"""An app's own server, which can fail as a whole or reject the events of some objects."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Literal

from aiohttp import web

from tests.e2e.callbacks.notify_server import SECRET, verified_event
from tests.harness.ports import reserve_port

Failure = Literal["error", "hang", "not found"]


class AppServer:
    """Records the events that it accepts."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        """How it answers all events; None if it accepts them."""
        self.rejected_keys: set[str] = set()
        """The keys of objects whose events it answers with 400."""
        self.numbers: dict[str, list[int]] = defaultdict(list)
        """For each key, the numbers of its events in the order in which it accepted them, each once."""
        self._ids: set[str] = set()
        self._port = reserve_port()

    @property
    def target(self) -> dict[str, str]:
        """The value of `notify` in an app's definition."""
        return {"url": f"http://127.0.0.1:{self._port}/uploads", "secret": SECRET}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen until the end of the block."""
        app = web.Application()
        app.router.add_post("/uploads", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._port).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        event = verified_event(request.headers, await request.read())
        if self.failure == "hang":
            await asyncio.Event().wait()
        if self.failure is not None:
            return web.Response(status=503 if self.failure == "error" else 404)
        if event["key"] in self.rejected_keys:
            return web.Response(status=400)
        if event["id"] not in self._ids:
            self._ids.add(event["id"])
            self.numbers[event["key"]].append(int(event["callback"]["number"]))
        return web.Response()
