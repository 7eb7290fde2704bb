"""A signer that takes callbacks, uploads that cause them, and an app's own server that is told."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import random
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.harness.local_cloud import Cloud
from tests.harness.oss_upload import post_object
from tests.harness.signer import Signer, signer
from tests.harness.waiting import DEADLINE_SECONDS

BODY = "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&number=${x:number}"
SECRET = "what both know and no log says"
_SAMPLE = re.compile(r'^oss_signer_(\w+?)(?:_total)?(?:\{app="(.*?)",outcome="(.*?)"\}|\{outcome="(.*?)"\})? (\S+)$')


@dataclass
class CallbackSigner:
    """May be killed and started again; its address stays."""

    session: aiohttp.ClientSession
    cloud: Cloud
    directory: Path
    server: dict[str, Any]
    apps: dict[str, Any]
    running: Signer | None = None
    address: str = ""
    urls: list[str] = field(default_factory=list)
    """Of all signers that OSS shall try; none: this one alone."""
    log: list[str] = field(default_factory=list)
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def start(self) -> None:
        self._write()
        self._stack = contextlib.AsyncExitStack()
        self.running = await self._stack.enter_async_context(signer(self.session, self.directory / "signer.yaml"))
        self.log = self.running.output
        if not self.address:
            self.address = self.running.public
            await self.configure()

    async def configure(self) -> None:
        """Puts what `urls` says into the callbacks of the apps."""
        assert self.running is not None
        self._write()
        async with self.session.post(f"{self.running.admin}/-/reload") as answer:
            assert answer.status == 200, await answer.text()

    def _write(self) -> None:
        listen = self.address.removeprefix("http://") or "127.0.0.1:0"
        whole: dict[str, Any] = {}
        for app_id, app in self.apps.items():
            callback = {name: value for name, value in app.items() if name in ("url", "body", "body_type", "notify")}
            url = ";".join(f"{each}/v1/apps/{app_id}/callback" for each in self.urls or [self.address or "http://none"])
            whole[app_id] = {
                "key_prefix": app["key_prefix"],
                "callback": {"url": url, "body": BODY, **callback},
            }
        definitions = {
            "version": 1,
            "server": {
                "listen": listen,
                "admin": "127.0.0.1:0",
                "callback_keys": f"{self.cloud.oss}/-/",
                **self.server,
            },
            "audit": str(self.directory / "audit.log"),
            "credentials": {"r": {"type": "assume_role", "endpoint": self.cloud.sts}},
            "defaults": {
                "bucket": "photos",
                "region": "cn-hangzhou",
                "domain": f"{self.cloud.oss}/photos",
                "credentials": "r",
            },
            "apps": whole,
        }
        (self.directory / "signer.yaml").write_text(json.dumps(definitions), encoding="utf-8")

    async def kill(self) -> None:
        assert self.running is not None
        self.running.process.kill()
        await self._stack.aclose()

    async def stop(self) -> None:
        await self._stack.aclose()

    async def counts(self) -> dict[str, int]:
        """Of the callbacks by app and outcome, of the attempts to hand on by outcome, and how many wait."""
        assert self.running is not None
        async with self.session.get(f"{self.running.admin}/metrics") as answer:
            text = await answer.text()
        found = {}
        for line in text.splitlines():
            if (match := _SAMPLE.match(line)) is None:
                continue
            if match[1] == "callbacks":
                found[f"{match[2]} {match[3]}"] = int(float(match[5]))
            if match[1] == "notifications":
                found[f"notify {match[4]}"] = int(float(match[5]))
            if match[1] == "callback_queue_depth":
                found["depth"] = int(float(match[5]))
        return found

    def callback_url(self, app: str) -> str:
        return f"{self.address}/v1/apps/{app}/callback"

    async def audited(self, count: int) -> list[dict[str, Any]]:
        """The callbacks in the audit log, once there are so many."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                lines = (self.directory / "audit.log").read_text(encoding="utf-8").splitlines()
                found = [entry for line in lines if (entry := json.loads(line))["event"] == "callback"]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def callback_signer(
    session: aiohttp.ClientSession,
    cloud: Cloud,
    directory: Path,
    queue: str,
    apps: dict[str, Any],
    **server: Any,
) -> AsyncIterator[CallbackSigner]:
    """`url` and `body` of an app may be left out; `server` is what else stands there."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "audit.log").touch()
    running = CallbackSigner(session, cloud, directory, {"callback_queue": queue, **server}, apps)
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.text)


async def upload(
    running: CallbackSigner, app: str, filename: str, *, content: bytes = b"hello", **variables: str
) -> Answer:
    """Asks for a form and uploads with it; OSS then calls back."""
    form = await form_of(running, app, filename, **variables)
    return await send(running.cloud, form, filename, content)


async def form_of(running: CallbackSigner, app: str, filename: str, **variables: str) -> dict[str, Any]:
    assert running.running is not None
    return await running.running.upload_form(app, {"filename": filename, "vars": variables})


async def send(cloud: Cloud, form: dict[str, Any], filename: str = "a.jpg", content: bytes = b"hello") -> Answer:
    return Answer(*await post_object(cloud.session, form["url"], form["fields"], content, filename))


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
