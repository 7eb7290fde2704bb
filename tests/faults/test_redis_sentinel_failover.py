"""The master of a Redis with Sentinel dies, hangs or is replaced: limits, callbacks and edits work again by themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.faults.signer_on_redis import signer_on_redis
from tests.harness.redis_sentinel import RedisSentinel, redis_sentinel
from tests.harness.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.slow


async def kill(master: RedisServer, _sentinel: RedisSentinel) -> None:
    await master.kill()


async def freeze(master: RedisServer, _sentinel: RedisSentinel) -> None:
    master.freeze()


async def replace(_master: RedisServer, sentinel: RedisSentinel) -> None:
    await sentinel.fail_over()


@pytest.mark.parametrize("fault", [kill, freeze, replace])
async def test_everything_in_redis_works_again_after_a_failover(
    fault: Callable[[RedisServer, RedisSentinel], Awaitable[None]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with (
        redis_server(tmp_path / "one") as one,
        redis_server(tmp_path / "other") as other,
        redis_sentinel(tmp_path / "sentinel", one, other) as sentinel,
        signer_on_redis(sentinel.url, tmp_path) as user,
    ):
        await fault(one, sentinel)
        await sentinel.wait_for_master(other)
        seconds = await user.works()
        with capsys.disabled():
            print(f" [{fault.__name__}: seconds after the new master: {seconds}] ", end="")
        assert await user.running.is_ready()
