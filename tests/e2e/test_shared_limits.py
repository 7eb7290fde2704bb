"""Two signers that share a limit in one Redis, under load, and while Redis is down."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import aiohttp

from tests.harness.local_cloud import Cloud
from tests.harness.redis_server import RedisServer, redis_server
from tests.harness.signer import Signer, signer
from tests.harness.waiting import wait_until

CLIENTS, REQUESTS_EACH = 8, 20
LIMIT = 40

CONFIG = """
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
limits: {redis}
credentials: {{r: {{type: assume_role, endpoint: "{sts}"}}}}
defaults: {{key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r}}
apps:
  limited: {{rate_limit: {{per_app: {limit}/h}}}}
  open: {{rate_limit: {{per_app: 200/s}}}}
  closed: {{rate_limit: {{per_app: 200/s, when_redis_is_gone: closed}}}}
"""


def write_definitions(path: Path, cloud: Cloud, redis: RedisServer) -> Path:
    config = path / "signer.yaml"
    config.write_text(CONFIG.format(redis=redis.address, sts=cloud.sts, limit=LIMIT), encoding="utf-8")
    return config


async def test_two_signers_together_let_through_what_one_limit_allows(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with redis_server(tmp_path / "redis") as redis:
        config = write_definitions(tmp_path, cloud, redis)
        async with signer(session, config) as one, signer(session, config) as other:
            statuses: Counter[int] = Counter()

            async def client(running: Signer) -> None:
                for _ in range(REQUESTS_EACH):
                    statuses[await running.upload_status("limited")] += 1

            await asyncio.gather(*(client((one, other)[number % 2]) for number in range(CLIENTS)))
    assert statuses == {201: LIMIT, 429: CLIENTS * REQUESTS_EACH - LIMIT}


async def test_requests_get_201_or_429_while_redis_stops_and_starts(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The app that is closed without Redis shows whether the signer has noticed."""
    async with redis_server(tmp_path / "redis") as redis:
        config = write_definitions(tmp_path, cloud, redis)
        async with signer(session, config) as one, signer(session, config) as other:
            statuses: Counter[int] = Counter()
            ended = asyncio.Event()

            async def client(running: Signer) -> None:
                while not ended.is_set():
                    statuses[await running.upload_status("open")] += 1

            async def wait_for_closed(status: int) -> None:
                async def is_returned() -> bool:
                    return await one.upload_status("closed") == status

                await wait_until(is_returned)

            async def stop_and_start() -> None:
                for _ in range(3):
                    await redis.stop()
                    await wait_for_closed(429)
                    assert await one.metric("limits_available") == 0
                    assert (await one.status())["limits_error"]
                    await redis.start()
                    await wait_for_closed(201)
                    assert await one.metric("limits_available") == 1
                    assert (await one.status())["limits_error"] is None
                ended.set()

            clients = (client((one, other)[number % 2]) for number in range(CLIENTS))
            await asyncio.gather(stop_and_start(), *clients)
    assert set(statuses) <= {201, 429}
    assert statuses[201] > 0
