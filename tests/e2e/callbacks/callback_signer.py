"""A signer that receives callbacks, and the uploads that cause them."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.harness.local_cloud import Cloud
from tests.harness.oss_upload import post_object
from tests.harness.ports import reserve_port
from tests.harness.signer import Signer, signer
from tests.harness.waiting import wait_until

BODY = "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&number=${x:number}"
_SAMPLE = re.compile(r'^oss_signer_(\w+?)(?:_total)?(?:\{app="(.*?)",outcome="(.*?)"\}|\{outcome="(.*?)"\})? (\S+)$')


@dataclass
class CallbackSigner:
    """A signer that can be killed and started again at the same address."""

    session: aiohttp.ClientSession
    cloud: Cloud
    directory: Path
    server: dict[str, Any]
    apps: dict[str, Any]
    """The apps; `url` and `body` of a callback have defaults."""
    callback_addresses: list[str] = field(default_factory=list)
    """The signers that OSS tries in turn; by default this one."""
    environ: dict[str, str] = field(default_factory=dict)
    """Added to the variables of its process."""
    running: Signer | None = None
    _port: int = field(default_factory=reserve_port)
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def address(self) -> str:
        """Its public address."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it with the current definitions."""
        self._write()
        self._stack = contextlib.AsyncExitStack()
        self.running = await self._stack.enter_async_context(
            signer(self.session, self.directory / "signer.yaml", environ=self.environ)
        )

    async def reload(self) -> None:
        """Reload the current definitions."""
        assert self.running is not None
        self._write()
        status, outcome = await self.running.reload()
        assert status == 200, outcome

    def _write(self) -> None:
        addresses = self.callback_addresses or [self.address]
        apps = {}
        for app_id, app in self.apps.items():
            url = ";".join(f"{address}/v1/apps/{app_id}/callback" for address in addresses)
            callback = {name: app[name] for name in ("url", "body", "body_type", "notify") if name in app}
            others = {name: value for name, value in app.items() if name not in callback}
            apps[app_id] = {**others, "callback": {"url": url, "body": BODY, **callback}}
        definitions = {
            "version": 1,
            "server": {
                "listen": f"127.0.0.1:{self._port}",
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
            "apps": apps,
        }
        (self.directory / "signer.yaml").write_text(json.dumps(definitions), encoding="utf-8")

    async def kill(self) -> None:
        """End it with SIGKILL."""
        assert self.running is not None
        self.running.process.kill()
        await self._stack.aclose()

    async def stop(self) -> None:
        """End it with SIGTERM."""
        await self._stack.aclose()

    async def counts(self) -> dict[str, int]:
        """Return the metrics: `APP OUTCOME` of callbacks, `notify OUTCOME` of attempts, and the queue's `depth`."""
        assert self.running is not None
        counts = {}
        for line in (await self.running.metrics_text()).splitlines():
            if (match := _SAMPLE.match(line)) is None:
                continue
            if match[1] == "callbacks":
                counts[f"{match[2]} {match[3]}"] = int(float(match[5]))
            if match[1] == "notifications":
                counts[f"notify {match[4]}"] = int(float(match[5]))
            if match[1] == "callback_queue_depth":
                counts["depth"] = int(float(match[5]))
        return counts

    async def wait_for_counts(self, **expected: int) -> None:
        """Return once these counts are reported; spaces in names are written as underscores."""

        async def are_reported() -> bool:
            counts = await self.counts()
            return all(counts.get(name.replace("_", " ", 1), 0) == count for name, count in expected.items())

        await wait_until(are_reported)

    def callback_url(self, app: str) -> str:
        """Return the callback URL of an app, without a proof."""
        return f"{self.address}/v1/apps/{app}/callback"

    async def audited_callbacks(self, count: int) -> list[dict[str, Any]]:
        """Return the callbacks in the audit log, once there are this many."""

        def entries() -> list[dict[str, Any]] | None:
            lines = (self.directory / "audit.log").read_text(encoding="utf-8").splitlines()
            found = [entry for line in lines if (entry := json.loads(line))["event"] == "callback"]
            return found if len(found) >= count else None

        return await wait_until(entries)

    async def form(self, app: str, filename: str, **variables: str) -> dict[str, Any]:
        """Request a form for an upload, whose object gets the name of the uploaded file."""
        assert self.running is not None
        return await self.running.upload_form(app, {"filename": filename, "vars": variables, "reuse": True})

    async def upload(self, app: str, filename: str, *, content: bytes = b"hello", **variables: str) -> Uploaded:
        """Request a form and upload with it; OSS then calls back."""
        return await upload_with(self.cloud, await self.form(app, filename, **variables), filename, content)


@contextlib.asynccontextmanager
async def callback_signer(
    session: aiohttp.ClientSession,
    cloud: Cloud,
    directory: Path,
    queue: str,
    apps: dict[str, Any],
    *,
    environ: Mapping[str, str] | None = None,
    **server: Any,
) -> AsyncIterator[CallbackSigner]:
    """Run a signer with a callback queue; `server` is added to its definitions."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "audit.log").touch()
    server = {"callback_queue": queue, **server}
    running = CallbackSigner(session, cloud, directory, server, apps, environ=dict(environ or {}))
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


@dataclass(frozen=True)
class Uploaded:
    """The response of OSS to an upload."""

    status: int
    text: str
    headers: Any

    @property
    def json(self) -> Any:
        """The body, which is the signer's response to the callback."""
        return json.loads(self.text)


async def upload_with(
    cloud: Cloud, form: dict[str, Any], filename: str = "a.jpg", content: bytes = b"hello"
) -> Uploaded:
    """Upload with a form."""
    return Uploaded(*await post_object(cloud.session, form["url"], form["fields"], content, filename))


async def call_back(
    cloud: Cloud, url: str, body: str, body_type: str = "application/x-www-form-urlencoded"
) -> dict[str, Any]:
    """Let OSS call a URL with a signed body, as any customer of OSS can."""
    callback = {"url": url, "body": body, "body_type": body_type}
    async with cloud.session.post(f"{cloud.oss}/-/callbacks", json=callback) as response:
        called: dict[str, Any] = await response.json()
        return called
