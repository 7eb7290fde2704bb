"""A master becomes a replica and its address leads to the new one: the signer leaves its open connections."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.signer_on_redis import signer_on_redis
from tests.harness.redis_server import redis_server
from tests.harness.relay import relay

pytestmark = pytest.mark.slow


async def test_everything_in_redis_works_again_after_a_demotion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        redis_server(tmp_path / "old") as old,
        redis_server(tmp_path / "new") as new,
        relay(old.address) as address,
    ):
        await new.demote(old)
        async with signer_on_redis(f"redis://{address.address}/0", tmp_path) as user:
            await new.promote()
            await old.demote(new)
            assert await user.running.upload_status("limited") == 429
            address.target = new.address
            seconds = await user.works()
            with capsys.disabled():
                print(f" [seconds after the address changed: {seconds}] ", end="")
            assert await user.running.is_ready()
