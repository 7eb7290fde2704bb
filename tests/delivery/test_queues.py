"""Both queues: what is put survives, the order holds per object, claims end, and it says when it is full."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import stat
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from signer.delivery.events import ClaimedEvent, UploadEvent
from signer.delivery.queue import CannotOpenQueue, EventQueue, QueueFull, QueueUnavailable
from signer.delivery.queue_factory import open_queue
from tests.harness.redis_server import RedisServer

LEASE_SECONDS = 30.0
LONG_SECONDS = 30.0


def event(name: str, number: int = 0, app: str = "a") -> UploadEvent:
    body = f'{{"name": "{name}", "number": {number}, "照片": "{"x" * 200}"}}'.encode()
    return UploadEvent(uuid.uuid4().hex, app, f"{app}/photos/{name}", body, 1_000.0 + number)


@contextlib.asynccontextmanager
async def opened(
    address: str, lease_seconds: float = LEASE_SECONDS, max_events: int = 1000
) -> AsyncIterator[EventQueue]:
    queue = await open_queue(address, lease_seconds=lease_seconds, max_events=max_events)
    try:
        yield queue
    finally:
        await queue.close()


@pytest.fixture
async def queue(address: str) -> AsyncIterator[EventQueue]:
    async with opened(address) as queue:
        yield queue


async def take(queue: EventQueue, most: int = 10) -> list[ClaimedEvent]:
    return await queue.take(most, {}, 100)


async def take_one(queue: EventQueue) -> ClaimedEvent:
    """Waits for it."""
    async with asyncio.timeout(LONG_SECONDS):
        while True:
            claims = await take(queue, 1)
            if claims:
                return claims[0]
            await asyncio.sleep(0.02)


async def test_what_was_put_is_taken_as_it_was(queue: EventQueue) -> None:
    put = event("a.jpg")
    await queue.put(put)
    [claim] = await take(queue)
    assert claim.event == put
    assert claim.failures == 0
    assert queue.depth() == 1
    await queue.done(claim)
    assert await take(queue) == []
    assert queue.depth() == 0


async def test_of_an_object_only_the_first_event_can_be_taken(queue: EventQueue) -> None:
    events = [event("a.jpg", number) for number in range(3)]
    for each in events:
        await queue.put(each)
    for each in events:
        [claim] = await take(queue)
        assert claim.event == each
        assert await take(queue) == []
        await queue.done(claim)
    assert await take(queue) == []


async def test_different_objects_are_taken_together(queue: EventQueue) -> None:
    events = [event(f"{number}.jpg") for number in range(20)]
    await asyncio.gather(*(queue.put(each) for each in events))
    first, second = await take(queue, 15), await take(queue, 15)
    assert (len(first), len(second)) == (15, 5)
    assert {claim.event.id for claim in first + second} == {each.id for each in events}


async def test_apps_are_taken_as_far_as_they_have_room(queue: EventQueue) -> None:
    for app in ("a", "b", "c"):
        for number in range(5):
            await queue.put(event(f"{number}.jpg", app=app))
    claims = await queue.take(100, {"a": 0, "b": 2}, 4)
    assert sorted(claim.event.app for claim in claims) == ["b", "b", "c", "c", "c", "c"]


async def test_an_app_that_waits_does_not_hide_the_others(queue: EventQueue) -> None:
    for number in range(300):
        await queue.put(event(f"{number}.jpg", app="dead"))
    await queue.put(event("a.jpg", app="alive"))
    assert [claim.event.app for claim in await queue.take(4, {"dead": 0}, 16)] == ["alive"]


async def test_later_is_later_and_counts(queue: EventQueue) -> None:
    first, second = event("a.jpg", 1), event("a.jpg", 2)
    await queue.put(first)
    await queue.put(second)
    claim = await take_one(queue)
    await queue.later(claim, 3600)
    assert await take(queue) == []
    await queue.put(event("b.jpg"))
    [other] = await take(queue)
    assert other.event.object == "a/photos/b.jpg"
    await queue.done(other)
    assert queue.depth() == 2


async def test_what_was_put_off_comes_back_before_what_came_after_it(queue: EventQueue) -> None:
    first, second = event("a.jpg", 1), event("a.jpg", 2)
    await queue.put(first)
    await queue.put(second)
    for failures in range(3):
        claim = await take_one(queue)
        assert (claim.event, claim.failures) == (first, failures)
        await queue.later(claim, 0.05)
    await queue.done(await take_one(queue))
    claim = await take_one(queue)
    assert (claim.event, claim.failures) == (second, 0)


async def test_what_is_released_is_due_at_once_and_as_not_tried(queue: EventQueue) -> None:
    await queue.put(event("a.jpg"))
    claim = await take_one(queue)
    await queue.release(claim)
    [again] = await take(queue)
    assert (again.event, again.failures) == (claim.event, 0)


async def test_it_survives_its_signer(address: str) -> None:
    events = [event(f"{number}.jpg") for number in range(3)]
    async with opened(address) as queue:
        for each in events:
            await queue.put(each)
        await queue.done(await take_one(queue))
    async with opened(address) as queue:
        assert len(await take(queue)) == 2
        assert queue.depth() == 2


async def test_two_signers_never_hold_events_of_one_object(address: str) -> None:
    async with opened(address) as one, opened(address) as other:
        for number in range(20):
            await one.put(event(f"{number % 5}.jpg", number))
        held = [*await take(one, 3), *await take(other, 20), *await take(one, 20)]
        assert len(held) == 5
        assert len({claim.event.object for claim in held}) == 5


async def test_a_claim_ends_with_its_time(address: str) -> None:
    """Another signer gets the event, and the first one's outcome changes nothing any more."""
    async with opened(address, lease_seconds=0.2) as dead, opened(address, lease_seconds=LEASE_SECONDS) as other:
        first, second = event("a.jpg", 1), event("a.jpg", 2)
        await dead.put(first)
        await dead.put(second)
        lost = await take_one(dead)
        assert lost.until - asyncio.get_running_loop().time() <= 0.2
        if address.startswith("redis"):
            # How long a claim may be idle is said by who takes it over.
            await asyncio.sleep(0.25)
            [over] = await take(dead)
            await dead.release(over)
        taken = await take_one(other)
        assert taken.event == first
        for outcome in (dead.done(lost), dead.later(lost, 0), dead.release(lost)):
            await outcome
        assert await take(other) == []
        await other.done(taken)
        assert (await take_one(other)).event == second


async def test_it_is_bounded_and_drops_nothing(address: str) -> None:
    async with opened(address, max_events=10) as queue:
        results = await asyncio.gather(*(queue.put(event(f"{n}.jpg")) for n in range(15)), return_exceptions=True)
        assert [type(each) for each in results if each is not None] == [QueueFull] * 5
        claims = await take(queue, 100)
        assert len(claims) == 10
        with pytest.raises(QueueFull):
            await queue.put(event("11.jpg"))
        await queue.done(claims[0])
        await queue.put(event("11.jpg"))


async def test_a_claim_knows_when_it_ends(queue: EventQueue) -> None:
    await queue.put(event("a.jpg"))
    before = asyncio.get_running_loop().time()
    claim = await take_one(queue)
    assert before + LEASE_SECONDS <= claim.until <= asyncio.get_running_loop().time() + LEASE_SECONDS


async def test_the_file_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "callbacks.db"
    async with opened(str(path)) as queue:
        await queue.put(event("a.jpg"))
        assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_file_that_is_no_queue_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("hello " * 1000)
    (tmp_path / "directory").mkdir()
    for name in ("text.db", "directory"):
        with pytest.raises(CannotOpenQueue) as raised:
            await open_queue(str(tmp_path / name))
        assert name in str(raised.value)
    for address in ("mysql://x", "redis://host:no-port/0", ""):
        with pytest.raises(CannotOpenQueue):
            await open_queue(address)


async def test_a_disk_that_does_not_write_is_told(tmp_path: Path) -> None:
    """And what waits behind it is done when it does again."""
    path = tmp_path / "callbacks.db"
    async with opened(str(path)) as queue:
        await queue.put(event("a.jpg"))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(QueueUnavailable):
                await queue.put(event("b.jpg"))
            other.execute("ROLLBACK")
        await queue.put(event("c.jpg"))
        assert {claim.event.object for claim in await take(queue)} == {"a/photos/a.jpg", "a/photos/c.jpg"}


async def test_who_has_gone_puts_nothing(tmp_path: Path) -> None:
    """A callback that was not kept in time was answered 503; nothing is kept of it later, if it can be helped."""
    path = tmp_path / "callbacks.db"
    async with opened(str(path)) as queue:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            blocked = asyncio.create_task(queue.put(event("a.jpg")))
            await asyncio.sleep(0.05)
            gone = asyncio.create_task(queue.put(event("b.jpg")))
            await asyncio.sleep(0.05)
            gone.cancel()
            other.execute("ROLLBACK")
        await blocked
        assert [claim.event.object for claim in await take(queue)] == ["a/photos/a.jpg"]


async def test_a_clock_that_was_set_back_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "callbacks.db"
    async with opened(str(path)) as queue:
        await queue.put(event("a.jpg"))
        with contextlib.closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE objects SET due_at = due_at + 86400")
        assert len(await take(queue)) == 1


async def test_redis_comes_back_with_all_that_was_put(redis: RedisServer) -> None:
    async with opened(f"redis://127.0.0.1:{redis.port}/0") as queue:
        for number in range(5):
            await queue.put(event(f"{number}.jpg"))
        held = await take(queue, 2)
        await redis.stop()
        for work in (queue.put(event("x.jpg")), take(queue), queue.done(held[0])):
            with pytest.raises(QueueUnavailable):
                await work
        await redis.start()
        await queue.done(held[0])
        assert len(await take(queue, 10)) == 3
        assert queue.depth() == 4


async def test_redis_keeps_no_trace_of_what_is_done(redis: RedisServer) -> None:
    async with opened(f"redis://127.0.0.1:{redis.port}/0") as queue:
        for number in range(6):
            await queue.put(event(f"{number % 2}.jpg", number))
        for _ in range(6):
            claim = await take_one(queue)
            await queue.later(claim, 0)
            await queue.done(await take_one(queue))
        assert await take(queue) == []
    async with Redis.from_url(f"redis://127.0.0.1:{redis.port}/0") as client:
        left = {key: await client.type(key) for key in await client.keys("*")}
        assert list(left.values()) == [b"stream"], left
        assert await client.xlen(next(iter(left))) == 0


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("appendonly", "no", "appendonly"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ],
)
async def test_settings_of_redis_that_lose_events_are_told(
    setting: str, value: str, told: str, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Redis.from_url(f"redis://127.0.0.1:{redis.port}/0") as client:
        await client.config_set("maxmemory", "100mb")
        await client.config_set(setting, value)
    async with opened(f"redis://127.0.0.1:{redis.port}/0") as queue:
        await take(queue)
        await take(queue)
    assert [told in message for message in caplog.messages].count(True) == 1, caplog.messages
