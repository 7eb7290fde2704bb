"""Token buckets in Redis, and what happens while Redis is unavailable."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from signer.errors import QuotaExceeded, RateLimited
from signer.limits.redis_limiter import RedisLimiter
from signer.limits.token_bucket import Limit
from tests.harness.relay import relay
from tests.harness.waiting import wait_until
from tests.stores.store_servers import redis_store_server

WIDE = Limit("wide", (1000, 3600))


@contextlib.asynccontextmanager
async def limiter_at(address: str) -> AsyncIterator[RedisLimiter]:
    limiter = RedisLimiter(f"redis://{address}/0")
    try:
        yield limiter
    finally:
        await limiter.close()


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


def upload(size_bytes: int) -> list[Limit]:
    quota = Limit("bytes", (10**15 - 1, 86_400_000), cost=size_bytes, policy="caller-bytes", is_bytes=True)
    return [Limit("caller", (6, 86_400), policy="caller"), quota]


async def test_two_limiters_share_a_quota_of_bytes(tmp_path: Path) -> None:
    """Nothing is taken from either bucket by a file that is too large; what is given back can be used again."""
    async with redis_store_server(tmp_path) as redis:
        address = f"127.0.0.1:{redis.port}"
        async with limiter_at(address) as one, limiter_at(address) as other:
            for limiter in (one, other):
                await until_counted_in_redis(limiter)
            half = 5 * 10**14
            taken = await one.acquire(upload(half), allow_when_unavailable=False)
            assert taken.headers()["RateLimit-Policy"].endswith(
                '"caller-bytes";q=999999999999999;qu="content-bytes";w=86400000'
            )
            for limiter in (other, one, other):
                with pytest.raises(QuotaExceeded):
                    await limiter.acquire(upload(2 * half - 1), allow_when_unavailable=False)
            await other.acquire(upload(half - 10**9), allow_when_unavailable=False)
            await one.acquire([upload(-half)[1]], allow_when_unavailable=False)
            rest = await other.acquire(upload(half), allow_when_unavailable=False)
            assert rest.remaining == 3
            for _ in range(5):
                await one.acquire([upload(-(10**15))[1]], allow_when_unavailable=False)
            await one.acquire([upload(10**15 - 1)[1]], allow_when_unavailable=False)
            with pytest.raises(QuotaExceeded):
                await other.acquire(upload(half), allow_when_unavailable=False)


async def test_several_requests_get_as_many_as_redis_allows(tmp_path: Path) -> None:
    limits = [WIDE, Limit("tight", (5, 86_400))]
    async with redis_store_server(tmp_path) as redis, limiter_at(f"127.0.0.1:{redis.port}") as limiter:
        assert (await limiter.acquire(limits, allow_when_unavailable=False, count=3)).granted == 3
        rest = await limiter.acquire(limits, allow_when_unavailable=False, count=9)
        assert (rest.granted, rest.remaining) == (2, 0)
        with pytest.raises(RateLimited):
            await limiter.acquire(limits, allow_when_unavailable=False, count=9)


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


@pytest.mark.parametrize("mode", ["open", "closed"])
async def test_500_requests_at_once_are_counted_exactly(tmp_path: Path, mode: str) -> None:
    """The first one opens the connection."""
    limits = [WIDE, Limit("tight", (300, 86_400))]
    async with redis_store_server(tmp_path) as redis, limiter_at(f"127.0.0.1:{redis.port}") as limiter:
        calls = (limiter.acquire(limits, allow_when_unavailable=mode == "open") for _ in range(500))
        results = await asyncio.gather(*calls, return_exceptions=True)
        refused = [each for each in results if isinstance(each, RateLimited)]
        assert (len(results) - len(refused), len(refused)) == (300, 200)
        assert {str(each) for each in refused} == {"too many requests; retry after the seconds in Retry-After"}
        async with redis.client() as client:
            assert len([each for each in await client.client_list() if each["addr"].startswith("127.")]) == 1


async def test_cancelled_requests_do_not_stop_others(tmp_path: Path) -> None:
    async with redis_store_server(tmp_path) as redis, limiter_at(f"127.0.0.1:{redis.port}") as limiter:
        tasks = [asyncio.create_task(limiter.acquire([WIDE], allow_when_unavailable=False)) for _ in range(300)]
        await asyncio.sleep(0)
        for task in tasks[:299]:
            task.cancel()
        await tasks[299]
        await limiter.acquire([WIDE], allow_when_unavailable=False)


async def test_a_key_of_another_type_becomes_a_bucket(tmp_path: Path) -> None:
    """One bad key is not an outage."""
    bad = Limit("bad", (2, 86_400))
    async with redis_store_server(tmp_path) as redis, limiter_at(f"127.0.0.1:{redis.port}") as limiter:
        async with redis.client() as client:
            await client.set("oss-signer:limit:bad", "text")
        for remaining in (1, 0):
            assert (await limiter.acquire([WIDE, bad], allow_when_unavailable=False)).remaining == remaining
        with pytest.raises(RateLimited, match="too many requests"):
            await limiter.acquire([WIDE, bad], allow_when_unavailable=False)


async def test_only_the_first_requests_of_an_outage_wait_for_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signer.limits.redis_limiter._TRIAL_SECONDS", 3600.0)
    connections = 0

    async def never_respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(never_respond, "127.0.0.1", 0)
    async with server, limiter_at(f"127.0.0.1:{server.sockets[0].getsockname()[1]}") as limiter:
        await asyncio.gather(*(limiter.acquire([WIDE], allow_when_unavailable=True) for _ in range(500)))
        assert connections == 1
        for _ in range(500):
            await limiter.acquire([WIDE], allow_when_unavailable=True)
        assert connections == 1


async def test_a_demoted_master_is_left(tmp_path: Path) -> None:
    limits = [Limit("shared", (2, 86_400))]
    async with (
        redis_store_server(tmp_path / "old") as old,
        redis_store_server(tmp_path / "new") as new,
        relay(old.address) as address,
        limiter_at(address.address) as limiter,
    ):
        await until_counted_in_redis(limiter)
        await old.demote(new)
        address.target = new.address
        assert (await limiter.acquire(limits, allow_when_unavailable=False)).remaining == 1
        async with new.client() as client:
            assert await client.exists("oss-signer:limit:shared")
