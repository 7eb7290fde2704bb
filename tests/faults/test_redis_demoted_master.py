"""The address of a Redis leads to a new master, while the old one keeps its connections open: the signer leaves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.faults.signer_on_redis import signer_on_redis
from tests.harness.redis_server import RedisServer, redis_server
from tests.harness.relay import relay

pytestmark = pytest.mark.slow


async def demote(old: RedisServer, new: RedisServer) -> None:
    await old.demote(new)


async def freeze(old: RedisServer, _new: RedisServer) -> None:
    old.freeze()


@pytest.mark.parametrize("fault", [demote, freeze])
async def test_everything_in_redis_works_again_at_the_new_master(
    fault: Callable[[RedisServer, RedisServer], Awaitable[None]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with (
        redis_server(tmp_path / "old") as old,
        redis_server(tmp_path / "new") as new,
        relay(old.address) as address,
    ):
        await new.demote(old)
        async with signer_on_redis(f"redis://{address.address}/0", tmp_path) as user:
            await new.promote()
            await fault(old, new)
            assert await user.running.upload_status("limited") == 429
            address.target = new.address
            seconds = await user.works()
            with capsys.disabled():
                print(f" [{fault.__name__}: seconds after the address changed: {seconds}] ", end="")
            assert await user.running.is_ready()
