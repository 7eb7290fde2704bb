"""A thousand callbacks while two signers are killed in turn and the app's server fails."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.callbacks.callback_signer import callback_signer, upload_with
from tests.e2e.callbacks.notify_server import NotifyServer
from tests.harness.local_cloud import Cloud
from tests.harness.redis_server import redis_server
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow

OBJECTS, UPLOADS_EACH, KILLS = 100, 10, 5
CONCURRENT_UPLOADS = 16


@pytest.fixture(params=["sqlite", "redis"])
async def queue_address(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "callbacks.db")
        return
    async with redis_server(tmp_path / "redis") as server:
        yield server.address


async def test_every_accepted_callback_is_notified_in_order_although_signers_are_killed(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: NotifyServer, queue_address: str, tmp_path: Path
) -> None:
    """Each callback that OSS got a 200 for is notified at least once, and those of one object in their order."""
    chooser = random.Random(5)
    app_server.weights = {"ok": 12, "error": 2, "reset": 2, "slow": 1}
    apps = {"a": {"key_prefix": "a/", "notify": app_server.target}}
    accepted: dict[str, list[int]] = {f"{number}.jpg": [] for number in range(OBJECTS)}
    slots = asyncio.Semaphore(CONCURRENT_UPLOADS)

    async with (
        callback_signer(session, cloud, tmp_path / "1", queue_address, apps, callback_timeout="1s") as one,
        callback_signer(session, cloud, tmp_path / "2", queue_address, apps, callback_timeout="1s") as other,
    ):
        one.callback_addresses = [one.address, other.address]
        other.callback_addresses = [other.address, one.address]
        await asyncio.gather(one.reload(), other.reload())

        async def form_of_either(filename: str, number: int) -> dict[str, Any]:
            for running in itertools.cycle(chooser.sample([one, other], 2)):
                with contextlib.suppress(aiohttp.ClientError):
                    return await running.form("a", filename, number=str(number))
            raise AssertionError

        async def upload_all(filename: str) -> None:
            for number in itertools.count():
                async with slots:
                    uploaded = await upload_with(cloud, await form_of_either(filename, number), filename)
                assert uploaded.status in (200, 203), uploaded.text
                if uploaded.status == 200:
                    accepted[filename].append(number)
                if len(accepted[filename]) == UPLOADS_EACH:
                    return

        def share_accepted() -> float:
            return sum(map(len, accepted.values())) / (OBJECTS * UPLOADS_EACH)

        async def kill_in_turn() -> None:
            for number in range(KILLS):
                share = (number + 1) / (KILLS + 1)
                await wait_until(lambda share=share: share_accepted() >= share)  # type: ignore[misc]
                victim = (one, other)[number % 2]
                await victim.kill()
                if number == 1:
                    await app_server.stop()
                if number == 2:
                    await app_server.start()
                await victim.start()

        await asyncio.gather(kill_in_turn(), *(upload_all(filename) for filename in accepted))
        app_server.weights = {"ok": 1}
        expected = {(f"a/{name}", number) for name, numbers in accepted.items() for number in numbers}
        await wait_until(
            lambda: (
                expected
                <= {(event["key"], int(event["callback"]["number"])) for event in app_server.acknowledged.values()}
            )
        )
    for name, numbers in accepted.items():
        received = [int(event["callback"]["number"]) for event in app_server.received if event["key"] == f"a/{name}"]
        assert received == sorted(received), name
        assert set(numbers) <= set(received), name
