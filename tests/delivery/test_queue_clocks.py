"""Clocks that are set: events stay due when they were, by clocks of the test for SQLite, and that of Redis itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from signer.delivery.sqlite_queue import SqliteQueue
from tests.delivery.queued_events import LEASE_SECONDS, claim, claim_one, closing, event, opened, put
from tests.harness.redis_server import RedisServer

PREFIX = "{oss-signer:callbacks}:"
MINUTES = 60.0


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A Redis whose times can be changed."""
    server = RedisServer(tmp_path / "redis", ("--enable-debug-command", "local"))
    await server.start()
    yield server
    await server.stop()


class Machine:
    """A machine's clocks: the wall clock can be set, and the monotonic clock begins at each boot."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "callbacks.db"
        self.epoch_seconds = 1_800_000_000.0
        self.uptime_seconds = 500_000.0

    def open(self) -> SqliteQueue:
        """Open its queue."""
        return SqliteQueue.open(
            self.path,
            lease_seconds=LEASE_SECONDS,
            now=lambda: self.epoch_seconds,
            monotonic=lambda: self.uptime_seconds,
        )

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.epoch_seconds += seconds
        self.uptime_seconds += seconds


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("minutes", [-50, -1, 50, 60 * 24 * 365])
@pytest.mark.parametrize("is_restarted", [False, True])
async def test_setting_the_clock_changes_no_delay(machine: Machine, minutes: int, is_restarted: bool) -> None:
    queue = machine.open()
    await put(queue, event("a.jpg"))
    await queue.retry_later(await claim_one(queue), 120)
    machine.epoch_seconds += minutes * MINUTES
    if is_restarted:
        await queue.close()
        queue = machine.open()
    async with closing(queue):
        await put(queue, other := event("b.jpg"))
        [claimed] = await claim(queue)
        assert claimed.event == other
        await queue.remove(claimed)
        machine.pass_time(119)
        assert await claim(queue) == []
        machine.pass_time(2)
        assert len(await claim(queue)) == 1


@pytest.mark.parametrize("minutes", [-50, 50])
async def test_setting_the_clock_changes_no_lease(machine: Machine, minutes: int) -> None:
    """No event is claimed while it is in flight, and that of a dead signer is claimed soon."""
    async with closing(machine.open()) as queue, closing(machine.open()) as other:
        await put(queue, event("a.jpg"))
        held = await claim_one(queue)
        machine.epoch_seconds += minutes * MINUTES
        for each in (queue, other):
            assert await claim(each) == []
        machine.pass_time(LEASE_SECONDS + 1)
        taken = await claim_one(other)
        await queue.remove(held)
        await other.remove(taken)
        assert other.depth() == 0


@pytest.mark.parametrize("uptime_seconds", [0.0, 100.0])
async def test_events_are_due_after_a_boot(machine: Machine, uptime_seconds: float) -> None:
    """The monotonic clock starts again, and whatever was in flight is not."""
    async with closing(machine.open()) as queue:
        await put(queue, event("a.jpg"), event("b.jpg"), event("c.jpg"))
        first, _ = await claim(queue, 2)
        await queue.retry_later(first, 300)
    machine.uptime_seconds = uptime_seconds
    async with closing(machine.open()) as queue:
        assert len(await claim(queue)) == 3


async def test_no_delay_is_longer_than_the_bound(machine: Machine) -> None:
    async with closing(machine.open()) as queue:
        await put(queue, event("a.jpg"))
        await queue.retry_later(await claim_one(queue), 86_400)
        machine.pass_time(361)
        assert len(await claim(queue)) == 1


@pytest.fixture
async def client(redis: RedisServer) -> AsyncIterator[Any]:
    async with Redis.from_url(redis.address) as client:
        yield client


async def test_redis_moves_its_times_along_when_its_clock_is_set_back(redis: RedisServer, client: Any) -> None:
    async with opened(redis.address) as queue:
        await put(queue, event("a.jpg"), event("b.jpg"))
        first, second = await claim(queue)
        await queue.retry_later(first, 0.5)
        await queue.retry_later(second, 300)
        clock = await set_back(client, 50 * MINUTES)
        assert (await claim_one(queue)).event == first.event
        [(_, due_at)] = await client.zrange(f"{PREFIX}later", 0, -1, withscores=True)
        assert due_at == pytest.approx(clock + 300_000, abs=60_000)


async def test_redis_keeps_leases_when_its_clock_is_set_back(redis: RedisServer, client: Any) -> None:
    """The leases start again, so that a dead signer's events are claimed soon."""
    async with opened(redis.address) as dead, opened(redis.address, lease_seconds=5.0) as other:
        await put(dead, event("a.jpg"))
        held = await claim_one(dead)
        await set_back(client, 50 * MINUTES)
        assert await claim(other) == []
        assert (await claim_one(other)).event == held.event


async def set_back(client: Any, seconds: float) -> int:
    """Change the times that Redis has as if its clock had been ahead until now. Return the time in milliseconds."""
    shift = int(seconds * 1000)
    clock = int(await client.get(f"{PREFIX}clock"))
    await client.set(f"{PREFIX}clock", clock + shift)
    for member, due_at in await client.zrange(f"{PREFIX}later", 0, -1, withscores=True):
        await client.zadd(f"{PREFIX}later", {member: due_at + shift})
    await client.execute_command("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 1)
    stream = f"{PREFIX}ready:a"
    await client.restore(stream, 0, _with_later_times(await client.dump(stream), clock, shift), replace=True)
    return clock


def _with_later_times(dump: bytes, clock: int, shift: int) -> bytes:
    """Return a serialized stream whose claims have later times: eight bytes, of which the lowest is the first."""
    changed = bytearray(dump)
    found = 0
    for index in range(len(dump) - 8):
        value = int.from_bytes(dump[index : index + 8], "little")
        if abs(value - clock) < 60_000:
            changed[index : index + 8] = (value + shift).to_bytes(8, "little")
            found += 1
    assert found
    return bytes(changed)
