"""Token buckets in Redis, and what happens while Redis is unavailable."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from redis.asyncio import Redis

from signer.errors import RateLimited
from signer.limits.redis_limiter import RedisLimiter
from signer.limits.token_bucket import Limit
from tests.harness.waiting import wait_until
from tests.stores.store_servers import redis_store_server

WIDE = Limit("wide", (1000, 3600))


async def until_counted_in_redis(limiter: RedisLimiter) -> None:
    """Wait until Redis responds to the limiter: it rejects nothing with `allow_when_unavailable=False`."""

    async def is_counted() -> bool:
        with contextlib.suppress(RateLimited):
            await limiter.acquire([WIDE], allow_when_unavailable=False)
            return True
        return False

    await wait_until(is_counted)


async def test_two_limiters_share_a_bucket(tmp_path: Path) -> None:
    async with redis_store_server(tmp_path) as redis:
        limiters = [RedisLimiter(f"redis://127.0.0.1:{redis.port}/0") for _ in range(2)]
        for limiter in limiters:
            await until_counted_in_redis(limiter)
        tight = Limit("tight", (2, 3600))
        for limiter in limiters:
            await limiter.acquire([WIDE, tight], allow_when_unavailable=False)
        for limiter in limiters:
            with pytest.raises(RateLimited) as raised:
                await limiter.acquire([WIDE, tight], allow_when_unavailable=False)
            assert raised.value.headers["RateLimit-Limit"] == "2"
            await limiter.close()


async def test_without_redis_an_app_counts_locally_or_rejects(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with redis_store_server(tmp_path) as redis:
        limiter = RedisLimiter(f"redis://:the-password@127.0.0.1:{redis.port}/0")
        await redis.stop()
        with pytest.raises(RateLimited, match="cannot be checked"):
            await limiter.acquire([WIDE], allow_when_unavailable=False)
        local = Limit("local", (2, 3600))
        for remaining in (1, 0):
            assert (await limiter.acquire([local], allow_when_unavailable=True)).remaining == remaining
        with pytest.raises(RateLimited, match="too many requests"):
            await limiter.acquire([local], allow_when_unavailable=True)
        assert caplog.text.count("rate limits in Redis unavailable") == 1
        assert "the-password" not in caplog.text
        await limiter.close()


async def test_redis_is_tried_again_after_it_failed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with redis_store_server(tmp_path) as redis:
        limiter = RedisLimiter(f"redis://127.0.0.1:{redis.port}/0")
        await redis.stop()
        with pytest.raises(RateLimited):
            await limiter.acquire([WIDE], allow_when_unavailable=False)
        await redis.start()
        await until_counted_in_redis(limiter)
        assert "rate limits in Redis available again" in caplog.text
        await limiter.close()


async def test_a_bucket_costs_memory_only_until_it_is_full_again(tmp_path: Path) -> None:
    async with redis_store_server(tmp_path) as redis:
        limiter = RedisLimiter(f"redis://127.0.0.1:{redis.port}/0")
        await until_counted_in_redis(limiter)
        await limiter.acquire([Limit("day", (1000, 86400))], allow_when_unavailable=False)
        client = Redis(port=redis.port)
        [key] = [key async for key in client.scan_iter("*:day")]
        assert 0 < await client.pttl(key) <= 86_400
        await client.aclose()
        await limiter.close()
