"""An app's own server, which receives the notifications of uploads."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import hmac
import json
import random
import warnings
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from tests.harness.ports import reserve_port

SECRET = "the-secret-of-the-app-and-the-signer"


class NotifyServer:
    """Records the notifications that arrive, and the ones that it answers with 200."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.acknowledged: dict[str, dict[str, Any]] = {}
        """By event id."""
        self.weights: dict[str, int] = {"ok": 1}
        """How often each response is chosen: ok, error, reset, slow."""
        self.slow_seconds = 1.0
        self._port = reserve_port()
        self._random = random.Random(7)
        self._runner: web.AppRunner | None = None

    @property
    def target(self) -> dict[str, str]:
        """The value of `notify` in an app's definition."""
        return {"url": f"http://127.0.0.1:{self._port}/uploads", "secret": SECRET}

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_post("/uploads", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def stop(self) -> None:
        """Refuse connections."""
        if self._runner is not None:
            await self._runner.cleanup()
        # Python 3.11 leaves a connection open that it accepts while the server stops.
        await asyncio.sleep(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    async def _handle(self, request: web.Request) -> web.Response:
        event = verified_event(request.headers, await request.read())
        self.received.append(event)
        [kind] = self._random.choices(list(self.weights), list(self.weights.values()))
        if kind == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if kind == "slow":
            await asyncio.sleep(self.slow_seconds)
        if kind == "error":
            return web.Response(status=self._random.choice([500, 502, 503, 429, 404]))
        self.acknowledged[event["id"]] = event
        return web.Response()


def verified_event(headers: Any, body: bytes, secret: str = SECRET) -> dict[str, Any]:
    """Verify the signature of a notification, and return its event."""
    timestamp = headers["X-Oss-Signer-Timestamp"]
    expected = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(headers["X-Oss-Signer-Signature"], f"sha256={expected}")
    event: dict[str, Any] = json.loads(body)
    assert event["id"] == headers["X-Oss-Signer-Event-Id"]
    return event


@contextlib.asynccontextmanager
async def notify_server() -> AsyncIterator[NotifyServer]:
    """Run an app's own server."""
    server = NotifyServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
