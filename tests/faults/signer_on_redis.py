"""A signer whose limits, callback queue and definitions are in one Redis, and what has to work again after a failover."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from signer.stores.protocol import CannotRead, CannotWrite, WritableStore
from signer.stores.store_factory import open_store
from tests.e2e.callbacks.callback_signer import BODY, upload_with
from tests.e2e.callbacks.notify_server import NotifyServer, notify_server
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.ports import reserve_port
from tests.harness.signer import Signer, signer
from tests.harness.waiting import wait_until


@dataclass
class SignerOnRedis:
    """A running signer, and its Redis at `url`."""

    url: str
    cloud: Cloud
    app_server: NotifyServer
    port: int
    apps: list[str] = field(default_factory=list)
    """Apps that edits added."""
    running: Signer = field(init=False)
    _uploads: int = 0

    @property
    def store_url(self) -> str:
        """The value of `--config`: an edit is noticed only by its message."""
        return f"{self.url}{'&' if '?' in self.url else '?'}poll=1h"

    def definitions(self) -> str:
        """Return the definitions with the current apps."""
        callback = {"url": f"http://127.0.0.1:{self.port}/v1/apps/notified/callback", "body": BODY}
        added = {app: {"key_prefix": f"{app}/"} for app in self.apps}
        return json.dumps(
            {
                "version": 1,
                "server": {
                    "listen": f"127.0.0.1:{self.port}",
                    "admin": "127.0.0.1:0",
                    "callback_keys": f"{self.cloud.oss}/-/",
                    "callback_queue": self.url,
                },
                "limits": self.url,
                "credentials": {
                    "r": {"type": "static", "access_key_id": "LTAI-local", "access_key_secret": "local-secret"}
                },
                "defaults": {
                    "bucket": "photos",
                    "region": "cn-hangzhou",
                    "domain": f"{self.cloud.oss}/photos",
                    "credentials": "r",
                },
                "apps": {
                    "notified": {
                        "key_prefix": "notified/",
                        "callback": {**callback, "notify": self.app_server.target},
                    },
                    "limited": {
                        "key_prefix": "limited/",
                        "rate_limit": {"per_app": "1000/s", "when_redis_is_gone": "closed"},
                    },
                    **added,
                },
            }
        )

    async def works(self) -> dict[str, float]:
        """Return the seconds after which limits, queue and definitions work."""
        started = time.monotonic()

        async def timed(part: Awaitable[None]) -> float:
            await part
            return round(time.monotonic() - started, 1)

        limits, queue, store = await asyncio.gather(
            *map(timed, (self._counts_in_redis(), self._delivers(), self._loads_an_edit()))
        )
        return {"limits": limits, "queue": queue, "definitions": store}

    async def _counts_in_redis(self) -> None:
        async def is_counted() -> bool:
            return await self.running.upload_status("limited") == 201

        await wait_until(is_counted)

    async def _delivers(self) -> None:
        async def is_accepted() -> str | None:
            self._uploads += 1
            name = f"{self._uploads}.jpg"
            form = await self.running.upload_form("notified", {"filename": name})
            uploaded = await upload_with(self.cloud, form, name)
            assert uploaded.status in (200, 203), uploaded.text
            return str(form["fields"]["key"]) if uploaded.status == 200 else None

        key = await wait_until(is_accepted)
        await wait_until(lambda: any(event["key"] == key for event in self.app_server.acknowledged.values()))

    async def _loads_an_edit(self) -> None:
        app = f"added-{len(self.apps)}"
        self.apps.append(app)

        async def is_published() -> bool:
            with contextlib.suppress(CannotWrite, CannotRead):
                await publish(self.store_url, self.definitions())
                return True
            return False

        async def is_active() -> bool:
            return await self.running.upload_status(app) == 201

        await wait_until(is_published)
        await wait_until(is_active)


async def publish(url: str, definitions: str) -> None:
    """Write definitions to the store, like `push`."""
    store = open_store(url, {})
    assert isinstance(store, WritableStore)
    try:
        await store.save(definitions, None)
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def signer_on_redis(url: str, directory: Path) -> AsyncIterator[SignerOnRedis]:
    """Run a signer, the local cloud and an app's server; everything of the signer works."""
    async with (
        aiohttp.ClientSession() as session,
        local_cloud(session, "--bucket", "photos=cn-hangzhou") as cloud,
        notify_server() as app_server,
    ):
        user = SignerOnRedis(url, cloud, app_server, reserve_port())
        await publish(user.store_url, user.definitions())
        async with signer(session, user.store_url, "--state-dir", directory / "state") as running:
            user.running = running
            await user.works()
            yield user
