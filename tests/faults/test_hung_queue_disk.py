"""The disk of the callback queue hangs: only callbacks fail, and the shutdown does not wait for it."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.e2e.callbacks.callback_signer import callback_signer
from tests.e2e.callbacks.notify_server import NotifyServer
from tests.harness.hanging_directory import hanging_directory
from tests.harness.local_cloud import Cloud
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow


async def test_a_hung_disk_stops_only_callbacks(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: NotifyServer, tmp_path: Path
) -> None:
    apps = {"a": {"key_prefix": "a/", "notify": app_server.target}}
    async with hanging_directory(tmp_path) as directory:
        queue = str(directory.path / "q.db")
        async with callback_signer(session, cloud, tmp_path / "signer", queue, apps) as running:
            assert running.running is not None
            assert (await running.upload("a", "before.jpg")).status == 200
            await wait_until(lambda: app_server.acknowledged)
            directory.hang()
            uploaded = await running.upload("a", "rejected.jpg")
            assert (uploaded.status, "Error status : 503." in uploaded.text) == (203, True), uploaded.text
            entry = await running.running.wait_for_log("callback queue unavailable")
            assert entry["reason"] == "the disk did not respond within 10 s"
            assert await running.running.metric("callback_queue_available") == 0
            assert (await running.running.status())["callback_queue_error"] == entry["reason"]
            assert await running.running.is_ready()
            directory.respond()

            async def is_accepted() -> bool:
                return (await running.upload("a", "after.jpg")).status == 200

            await wait_until(is_accepted)
            await wait_until(lambda: "a/after.jpg" in {each["key"] for each in app_server.acknowledged.values()})
            directory.hang()
            running.running.process.terminate()
            await running.running.wait_for_log("stopped")
            # The kernel itself keeps the process until its open files respond.
            directory.respond()
            assert await running.running.process.wait() == 0
