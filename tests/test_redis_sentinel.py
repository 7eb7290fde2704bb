"""The client of a Redis queries all sentinels for the master, and its errors name what is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signer.redis_client import RedisClient
from signer.redis_errors import RedisLoginRejected, RedisUnavailable, RedisUnreachable
from signer.redis_url import parse_redis_url
from tests.harness.redis_sentinel import RedisSentinel, redis_sentinel
from tests.harness.redis_server import RedisServer, redis_server
from tests.harness.waiting import DEADLINE_SECONDS, wait_until

PASSWORD = "hunter2-secret"


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[tuple[RedisServer, RedisServer]]:
    async with redis_server(tmp_path / "one") as one, redis_server(tmp_path / "other") as other:
        yield one, other


@pytest.fixture
async def sentinel(servers: tuple[RedisServer, RedisServer], tmp_path: Path) -> AsyncIterator[RedisSentinel]:
    async with redis_sentinel(tmp_path / "sentinel", *servers, password=PASSWORD) as running:
        yield running


@contextlib.asynccontextmanager
async def client(url: str) -> AsyncIterator[RedisClient]:
    running = RedisClient(parse_redis_url(url), max_connections=2)
    try:
        yield running
    finally:
        await running.close()


async def put(running: RedisClient, value: str) -> None:
    await running.run(lambda redis: redis.set("key", value), deadline_seconds=DEADLINE_SECONDS)


async def stored(server: RedisServer) -> object:
    async with server.client() as redis:
        return await redis.get("key")


async def test_the_master_is_found_although_a_sentinel_is_down(
    servers: tuple[RedisServer, RedisServer], sentinel: RedisSentinel
) -> None:
    async with client(sentinel.url) as running:
        await put(running, "before")
    assert await stored(servers[0]) == b"before"


@pytest.mark.parametrize(
    ("old", "new", "kind", "text"),
    [
        ("/main/", "/other/", RedisUnreachable, "the sentinels have no master of this name"),
        (PASSWORD, "wrong", RedisLoginRejected, "the Redis user name or password is wrong or missing"),
        (f"?sentinel_password={PASSWORD}", "", RedisLoginRejected, "user name or password is wrong or missing"),
    ],
)
async def test_what_is_wrong_is_named(
    old: str, new: str, kind: type[RedisUnavailable], text: str, sentinel: RedisSentinel
) -> None:
    async with client(sentinel.url.replace(old, new)) as running:
        with pytest.raises(RedisUnavailable, match=text) as raised:
            await put(running, "never")
    assert type(raised.value) is kind


async def test_sentinels_that_are_down_are_named() -> None:
    async with client("redis+sentinel://127.0.0.1:1,127.0.0.1:2/main") as running:
        with pytest.raises(RedisUnreachable, match="no sentinel can be reached"):
            await put(running, "never")


async def test_a_master_that_was_replaced_is_left_although_it_works(
    servers: tuple[RedisServer, RedisServer], sentinel: RedisSentinel
) -> None:
    """Its connections stay open and it accepts writes, because the sentinel cannot demote it."""
    old, new = servers
    async with client(sentinel.url) as running, old.client() as redis:
        await put(running, "before")
        await redis.execute_command("ACL", "SETUSER", "default", "-slaveof", "-replicaof")  # type: ignore[no-untyped-call]
        await sentinel.fail_over()

        async def is_written_to_the_new_master() -> bool:
            with contextlib.suppress(RedisUnavailable):
                await put(running, "after")
            return await stored(new) == b"after"

        await sentinel.wait_for_master(new)
        await wait_until(is_written_to_the_new_master)
        assert await old.is_master()
