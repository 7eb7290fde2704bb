"""Two signers that count together in one real Redis, under load, and when it dies and comes back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import aiohttp

from tests.harness.local_cloud import Cloud
from tests.harness.redis_server import RedisServer, redis_server
from tests.harness.signer import Signer, signer

RATE = 200
SECONDS = 6.0
CLIENTS = 8

CONFIG = """
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
limits: redis://127.0.0.1:{port}/0
credentials: {{r: {{type: assume_role, endpoint: "{sts}"}}}}
defaults: {{bucket: photos, region: cn-hangzhou, credentials: r}}
apps:
  open: {{rate_limit: {{per_app: {rate}/s}}}}
  closed: {{rate_limit: {{per_app: {rate}/s, when_redis_is_gone: closed}}}}
"""


def definitions(path: Path, cloud: Cloud, redis: RedisServer) -> Path:
    config = path / "signer.yaml"
    config.write_text(CONFIG.format(port=redis.port, sts=cloud.sts, rate=RATE), encoding="utf-8")
    return config


async def load(signers: tuple[Signer, ...], app: str, stop: asyncio.Event) -> Counter[int]:
    """As many requests as the signers response, half of the clients at each, until told to stop."""
    statuses: Counter[int] = Counter()

    async def ask(running: Signer) -> None:
        while not stop.is_set():
            async with running.session.post(f"{running.public}/v1/apps/{app}/uploads") as response:
                await response.read()
                statuses[response.status] += 1

    await asyncio.gather(*(ask(signers[number % len(signers)]) for number in range(CLIENTS)))
    return statuses


async def test_two_signers_hold_one_limit(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """A bucket holds one second's worth and fills at the rate: what comes through in all is known."""
    async with redis_server(tmp_path / "redis") as redis:
        config = definitions(tmp_path, cloud, redis)
        async with signer(session, config) as one, signer(session, config) as other:
            stop = asyncio.Event()
            started = time.monotonic()
            loading = asyncio.create_task(load((one, other), "open", stop))
            async with asyncio.timeout(120):
                await asyncio.sleep(SECONDS)  # the measured time, not a wait for something
                stop.set()
                statuses = await loading
            seconds = time.monotonic() - started
    allowed = RATE * (1 + seconds)
    print(f"two signers, {RATE}/s for {seconds:.1f} s: {statuses[201]} let through, {allowed:.0f} allowed; {statuses}")
    assert set(statuses) == {201, 429}
    assert abs(statuses[201] - allowed) / allowed < 0.05


async def test_redis_dies_and_comes_back_under_load(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with redis_server(tmp_path / "redis") as redis:
        config = definitions(tmp_path, cloud, redis)
        async with signer(session, config) as one, signer(session, config) as other:
            stop = asyncio.Event()
            loading = asyncio.create_task(load((one, other), "open", stop))
            for _ in range(3):
                await redis.stop()
                await refused(one)
                await redis.start()
                await taken(one)
            stop.set()
            async with asyncio.timeout(60):
                statuses = await loading
        print(f"Redis killed and restarted three times under load: {statuses}")
        assert set(statuses) <= {201, 429}
        assert statuses[201] > 0


async def status_of_closed(running: Signer) -> int:
    async with running.session.post(f"{running.public}/v1/apps/closed/uploads") as response:
        return response.status


async def refused(running: Signer) -> None:
    """Until the app that is closed without Redis says so: the signer has noticed."""
    async with asyncio.timeout(30):
        while await status_of_closed(running) != 429:
            await asyncio.sleep(0.02)


async def taken(running: Signer) -> None:
    async with asyncio.timeout(30):
        while await status_of_closed(running) != 201:
            await asyncio.sleep(0.02)
