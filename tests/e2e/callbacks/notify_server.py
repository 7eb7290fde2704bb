"""An app's own server, which receives the notifications of uploads."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import hmac
import json
import random
import warnings
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

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
        self.checks_time = True
        """Whether a notification is rejected whose time is more than five minutes off."""
        self.rejected_keys: set[str] = set()
        """Events of these objects get 400."""
        self.in_flight: Counter[str] = Counter()
        """By event id."""
        self.max_in_flight = 0
        """The largest number of requests that were in flight at the same time for one event."""
        self._is_released = asyncio.Event()
        self._is_released.set()
        self._port = reserve_port()
        self._random = random.Random(7)
        self._runner: web.AppRunner | None = None

    @property
    def target(self) -> dict[str, str]:
        """The value of `notify` in an app's definition."""
        return {"url": f"http://127.0.0.1:{self._port}/uploads", "secret": SECRET}

    def hold(self) -> None:
        """Respond to nothing until `release`."""
        self._is_released.clear()

    def release(self) -> None:
        """Respond again, also to the requests that wait."""
        self._is_released.set()

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
        event = verified_event(request.headers, await request.read(), checks_time=self.checks_time)
        self.received.append(event)
        self.in_flight[event["id"]] += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight[event["id"]])
        try:
            return await self._respond(request, event)
        finally:
            self.in_flight[event["id"]] -= 1

    async def _respond(self, request: web.Request, event: dict[str, Any]) -> web.Response:
        await self._is_released.wait()
        if event["key"] in self.rejected_keys:
            return web.Response(status=400)
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


def verified_event(headers: Any, body: bytes, secret: str = SECRET, *, checks_time: bool = True) -> dict[str, Any]:
    """Verify both signatures of a notification, and return its event."""
    timestamp = headers["X-Oss-Signer-Timestamp"]
    expected = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(headers["X-Oss-Signer-Signature"], f"sha256={expected}")
    webhook = Webhook(base64.b64encode(secret.encode()).decode())
    if checks_time:
        webhook.verify(body, dict(headers))
    else:
        at = datetime.fromtimestamp(int(headers["Webhook-Timestamp"]), UTC)
        assert headers["Webhook-Signature"] == webhook.sign(headers["Webhook-Id"], at, body.decode())
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
