"""Another program breaks the keys of one app in the Redis of the callback queue: deliveries of all apps go on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.e2e.callbacks.callback_signer import callback_signer
from tests.e2e.callbacks.notify_server import notify_server
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.redis_server import redis_server
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow

STREAM = "{oss-signer:callbacks}:ready:broken"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    async with local_cloud(session, "--bucket", "photos=cn-hangzhou") as running:
        yield running


async def replace(redis: Redis) -> None:
    await redis.set(STREAM, "text")


async def destroy_group(redis: Redis) -> None:
    await redis.xgroup_destroy(STREAM, "signers")


@pytest.mark.parametrize("break_stream", [replace, destroy_group])
async def test_events_of_all_apps_are_delivered_although_one_stream_is_broken(
    break_stream: Callable[[Redis], Awaitable[None]], session: aiohttp.ClientSession, cloud: Cloud, tmp_path: Path
) -> None:
    async with (
        redis_server(tmp_path / "redis") as redis,
        redis.client() as client,
        notify_server() as failing,
        notify_server() as working,
    ):
        failing.weights = {"error": 1}
        apps = {
            "broken": {"key_prefix": "broken/", "notify": failing.target},
            "other": {"key_prefix": "other/", "notify": working.target},
        }
        async with callback_signer(session, cloud, tmp_path / "signer", redis.address, apps) as running:
            for number in range(3):
                assert (await running.upload("broken", "a.jpg", number=str(number))).status == 200
            await wait_until(lambda: failing.received)
            await break_stream(client)
            for number in range(3):
                assert (await running.upload("other", f"{number}.jpg")).status == 200
            await wait_until(lambda: len(working.acknowledged) == 3)
            failing.weights = {"ok": 1}
            await wait_until(lambda: len(failing.acknowledged) == 3)
            numbers = [event["callback"]["number"] for event in failing.acknowledged.values()]
            assert numbers == ["0", "1", "2"]
            assert running.running is not None
            entry = await running.running.wait_for_log("callback queue of an app repaired")
            assert entry["app"] == "broken"
