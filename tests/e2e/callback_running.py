"""A signer that takes callbacks as a process, uploads that cause them, and an app's own server that is told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from tests.e2e.running import ROOT, START_SECONDS, Cloud, post_object
from tests.localcloud.forms import signed_form

BODY = "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&number=${x:number}"
SECRET = "what both know and no log says"


@dataclass
class CallbackSigner:
    """May be killed and started again; its address stays."""

    options: dict[str, Any]
    session: aiohttp.ClientSession
    address: str = ""
    process: asyncio.subprocess.Process | None = None
    output: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    _reading: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        listen = self.address.removeprefix("http://") or "127.0.0.1:0"
        process = self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.e2e.callback_signer", json.dumps({**self.options, "listen": listen})),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        self._reading.append(asyncio.create_task(self._read_log(process.stderr)))
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
        assert line, "".join(self.log)
        self.address = json.loads(line)["address"]
        self._reading.append(asyncio.create_task(self._read_output(process.stdout)))

    async def _read_output(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            with contextlib.suppress(ValueError):  # a killed process may leave half a line
                self.output.append(json.loads(line))

    async def _read_log(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.log.append(line.decode())

    async def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()
        await asyncio.gather(*self._reading)

    async def state(self) -> dict[str, Any]:
        async with self.session.get(f"{self.address}/state") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    def callback_url(self, app: str) -> str:
        return f"{self.address}/v1/apps/{app}/callback"

    async def audited(self, count: int) -> list[dict[str, Any]]:
        """Waits until there are so many, since what it says is read beside."""
        async with asyncio.timeout(START_SECONDS):
            while len(found := [entry["audit"] for entry in self.output if "audit" in entry]) < count:
                await asyncio.sleep(0.01)
        return found


@contextlib.asynccontextmanager
async def callback_signer(
    session: aiohttp.ClientSession, cloud: Cloud, queue: str, apps: dict[str, Any], **options: Any
) -> AsyncIterator[CallbackSigner]:
    """`url` and `body` of an app may be left out."""
    whole = {
        app_id: {"bucket": "photos", "url": f"https://sign.example.com/v1/apps/{app_id}/callback", "body": BODY, **app}
        for app_id, app in apps.items()
    }
    settings = {"queue": queue, "apps": whole, "keys_below": f"{cloud.oss}/-/", **options}
    signer = CallbackSigner(settings, session)
    try:
        await signer.start()
        yield signer
    finally:
        await signer.stop()


def callback_field(url: str, body: str = BODY, body_type: str | None = None, host: str | None = None) -> str:
    document = {"callbackUrl": url, "callbackBody": body, "callbackBodyType": body_type, "callbackHost": host}
    text = json.dumps({name: value for name, value in document.items() if value is not None}, ensure_ascii=False)
    return base64.b64encode(text.encode()).decode()


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.text)


async def upload(
    cloud: Cloud, key: str, callback: str, *, content: bytes = b"hello", bucket: str = "photos", **fields: str
) -> Answer:
    """Uploads with a form that asks for this callback. `x_name` is sent as `x:name`."""
    named = {name.replace("x_", "x:", 1): value for name, value in fields.items()}
    form = signed_form(conditions=[["eq", "$callback", callback]], fields={"key": key, "callback": callback, **named})
    return Answer(*await post_object(cloud.session, f"{cloud.oss}/{bucket}", form, content))


def verified(headers: Any, body: bytes, secret: str = SECRET) -> dict[str, Any]:
    """The event, if it is signed with what both know."""
    timestamp = headers["X-Oss-Signer-Timestamp"]
    expected = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(headers["X-Oss-Signer-Signature"], f"sha256={expected}")
    event: dict[str, Any] = json.loads(body)
    assert event["id"] == headers["X-Oss-Signer-Event-Id"]
    return event


class Told:
    """An app's own server. It notes what arrives, and what it answered well."""

    def __init__(self, chooser: random.Random | None = None) -> None:
        self.arrived: list[dict[str, Any]] = []
        self.taken: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, int] = {"well": 1}
        """How often each way to answer is chosen: well, error, reset, slow."""
        self.slow_seconds = 1.0
        self.address = ""
        self._chooser = chooser or random.Random(7)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/uploads", self.handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        port = int(self.address.rpartition(":")[2] or 0)
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.address = "http://127.0.0.1:{1}".format(*self._runner.addresses[0])

    async def stop(self) -> None:
        """Nobody listens any more."""
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def target(self) -> dict[str, str]:
        return {"url": f"{self.address}/uploads", "secret": SECRET}

    async def handle(self, request: web.Request) -> web.Response:
        event = verified(request.headers, await request.read())
        self.arrived.append(event)
        [way] = self._chooser.choices(list(self.answers), list(self.answers.values()))
        if way == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if way == "slow":
            await asyncio.sleep(self.slow_seconds)
        if way == "error":
            return web.Response(status=self._chooser.choice([500, 502, 503, 429, 404]))
        self.taken[event["id"]] = event
        return web.Response()


@contextlib.asynccontextmanager
async def told() -> AsyncIterator[Told]:
    server = Told()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
