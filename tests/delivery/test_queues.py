"""Both queues: events are durable and in order per object, claims end, and a full queue rejects events."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
import stat
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from signer.delivery.queue import CannotOpenQueue, EventQueue, QueueFull, QueueUnavailable
from signer.delivery.queue_factory import open_queue
from signer.delivery.sqlite_queue import SqliteQueue
from tests.delivery.queued_events import LEASE_SECONDS, claim, claim_one, closing, event, opened
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import DEADLINE_SECONDS


@pytest.fixture
async def queue(address: str) -> AsyncIterator[EventQueue]:
    async with opened(address) as queue:
        yield queue


async def test_claimed_event_equals_the_event_put(queue: EventQueue) -> None:
    put = event("a.jpg")
    await queue.put(put, remember_until=0)
    [claimed] = await claim(queue)
    assert claimed.event == put
    assert claimed.failures == 0
    assert queue.depth() == 1
    await queue.remove(claimed)
    assert await claim(queue) == []
    assert queue.depth() == 0


async def test_only_the_oldest_event_of_an_object_can_be_claimed(queue: EventQueue) -> None:
    events = [event("a.jpg", number) for number in range(3)]
    for each in events:
        await queue.put(each, remember_until=0)
    for each in events:
        [claimed] = await claim(queue)
        assert claimed.event == each
        assert await claim(queue) == []
        await queue.remove(claimed)
    assert await claim(queue) == []


async def test_events_of_different_objects_are_claimed_together(queue: EventQueue) -> None:
    events = [event(f"{number}.jpg") for number in range(20)]
    await asyncio.gather(*(queue.put(each, remember_until=0) for each in events))
    first, second = await claim(queue, 15), await claim(queue, 15)
    assert (len(first), len(second)) == (15, 5)
    assert {claimed.event.id for claimed in first + second} == {each.id for each in events}


async def test_each_app_gets_at_most_its_free_slots(queue: EventQueue) -> None:
    for app in ("a", "b", "c"):
        for number in range(5):
            await queue.put(event(f"{number}.jpg", app=app), remember_until=0)
    claims = await queue.claim(100, {"a": 0, "b": 2}, 4)
    assert sorted(claimed.event.app_id for claimed in claims) == ["b", "b", "c", "c", "c", "c"]


async def test_app_without_free_slots_does_not_hide_others(queue: EventQueue) -> None:
    for number in range(300):
        await queue.put(event(f"{number}.jpg", app="dead"), remember_until=0)
    await queue.put(event("a.jpg", app="alive"), remember_until=0)
    assert [claimed.event.app_id for claimed in await queue.claim(4, {"dead": 0}, 16)] == ["alive"]


async def test_retried_event_is_due_later_and_counted(queue: EventQueue) -> None:
    first, second = event("a.jpg", 1), event("a.jpg", 2)
    await queue.put(first, remember_until=0)
    await queue.put(second, remember_until=0)
    claimed = await claim_one(queue)
    await queue.retry_later(claimed, 300)
    assert await claim(queue) == []
    await queue.put(event("b.jpg"), remember_until=0)
    [other] = await claim(queue)
    assert other.event.object_id == "a/photos/b.jpg"
    await queue.remove(other)
    assert queue.depth() == 2


async def test_retried_event_stays_before_later_events_of_its_object(queue: EventQueue) -> None:
    first, second = event("a.jpg", 1), event("a.jpg", 2)
    await queue.put(first, remember_until=0)
    await queue.put(second, remember_until=0)
    for failures in range(3):
        claimed = await claim_one(queue)
        assert (claimed.event, claimed.failures) == (first, failures)
        await queue.retry_later(claimed, 0.05)
    await queue.remove(await claim_one(queue))
    claimed = await claim_one(queue)
    assert (claimed.event, claimed.failures) == (second, 0)


async def test_released_event_is_due_at_once_without_a_failure(queue: EventQueue) -> None:
    await queue.put(event("a.jpg"), remember_until=0)
    claimed = await claim_one(queue)
    await queue.release(claimed)
    [again] = await claim(queue)
    assert (again.event, again.failures) == (claimed.event, 0)


async def test_events_survive_a_restart(address: str) -> None:
    events = [event(f"{number}.jpg") for number in range(3)]
    async with opened(address) as queue:
        for each in events:
            await queue.put(each, remember_until=0)
        await queue.remove(await claim_one(queue))
    async with opened(address) as queue:
        assert len(await claim(queue)) == 2
        assert queue.depth() == 2


async def test_two_signers_never_claim_events_of_one_object(address: str) -> None:
    async with opened(address) as one, opened(address) as other:
        for number in range(20):
            await one.put(event(f"{number % 5}.jpg", number), remember_until=0)
        held = [*await claim(one, 3), *await claim(other, 20), *await claim(one, 20)]
        assert len(held) == 5
        assert len({claimed.event.object_id for claimed in held}) == 5


async def test_claim_ends_with_its_lease(address: str) -> None:
    """Another signer gets the event, and the outcome of the first one changes nothing."""
    async with opened(address, lease_seconds=0.2) as dead, opened(address, lease_seconds=LEASE_SECONDS) as other:
        first, second = event("a.jpg", 1), event("a.jpg", 2)
        await dead.put(first, remember_until=0)
        await dead.put(second, remember_until=0)
        lost = await claim_one(dead)
        assert lost.lease_ends_at - asyncio.get_running_loop().time() <= 0.2
        if address.startswith("redis"):
            # The signer that takes a claim over decides how old the claim must be.
            await dead.release(await claim_one(dead))
        taken = await claim_one(other)
        assert taken.event == first
        for outcome in (dead.remove(lost), dead.retry_later(lost, 0), dead.release(lost)):
            await outcome
        assert await claim(other) == []
        await other.remove(taken)
        assert (await claim_one(other)).event == second


async def test_app_with_its_share_of_the_queue_is_rejected_and_loses_nothing(address: str) -> None:
    async with opened(address, max_events=10) as queue:
        results = await asyncio.gather(
            *(queue.put(event(f"{n}.jpg"), remember_until=0) for n in range(15)), return_exceptions=True
        )
        assert [each for each in results if each is True] == [True] * 4
        assert [type(each) for each in results if each is not True] == [QueueFull] * 11
        claims = await claim(queue, 100)
        assert len(claims) == 4
        await queue.remove(claims[0])
        assert await queue.put(event("16.jpg"), remember_until=0)
        with pytest.raises(QueueFull):
            await queue.put(event("17.jpg"), remember_until=0)


async def test_full_apps_leave_room_for_others(address: str) -> None:
    async with opened(address, max_events=90) as queue:
        for app in ("a", "b", "c", "d"):
            with contextlib.suppress(QueueFull):
                for number in range(90):
                    await queue.put(event(f"{number}.jpg", app=app), remember_until=0)
        assert await queue.put(event("a.jpg", app="e"), remember_until=0)
        claims = [each.event.app_id for each in await queue.claim(200, {}, 200)]
        assert [claims.count(app) for app in ("a", "b", "c", "d", "e")] == [30, 20, 14, 9, 1]


async def test_repeat_is_recognized_until_its_proof_ends(address: str) -> None:
    """Also after its delivery, after a restart, by another signer, and when the app has its share of the queue."""
    later = time.time() + 3600
    first = event("a.jpg")
    async with opened(address, max_events=2) as queue, opened(address, max_events=2) as other:
        assert await queue.put(first, remember_until=later)
        assert not await other.put(first, remember_until=later)
        assert len(await claim(queue)) == 1
        assert not await queue.put(first, remember_until=later)
    async with opened(address, lease_seconds=0.0, max_events=2) as queue:
        await queue.remove(await claim_one(queue))
        assert not await queue.put(first, remember_until=later)
        assert await claim(queue) == []
        assert await queue.put(event("a.jpg"), remember_until=later)


async def test_id_is_forgotten_when_its_proof_has_ended(queue: EventQueue) -> None:
    """Signers reject the proof from then on."""
    first = event("a.jpg")
    for _ in range(2):
        assert await queue.put(first, remember_until=time.time() - 1)
        await queue.remove(await claim_one(queue))


async def test_number_of_remembered_ids_is_bounded_for_each_app(address: str) -> None:
    later = time.time() + 3600
    kept = event("kept.jpg", app="b")
    events = [event(f"{number}.jpg") for number in range(10)]
    async with opened(address, max_events=6) as queue:
        for number, each in enumerate([kept, *events]):
            assert await queue.put(each, remember_until=later + number)
            await queue.remove(await claim_one(queue))
        assert not await queue.put(kept, remember_until=later)
        assert not await queue.put(events[4], remember_until=later)
        assert await queue.put(events[3], remember_until=later)


async def test_file_of_an_older_version_keeps_its_events(tmp_path: Path) -> None:
    """There, times are in epoch seconds, and objects have the failures of their events."""
    path = tmp_path / "callbacks.db"
    later = time.time() + 300
    with contextlib.closing(sqlite3.connect(path)) as older, older:
        older.executescript(
            "CREATE TABLE events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, app TEXT NOT NULL, "
            "object TEXT NOT NULL, body BLOB NOT NULL, received_at REAL NOT NULL);"
            "CREATE TABLE objects (object TEXT PRIMARY KEY, app TEXT NOT NULL, due_at REAL NOT NULL, "
            "failures INTEGER NOT NULL DEFAULT 0, holder TEXT) WITHOUT ROWID;"
        )
        first, second = event("a.jpg", 1), event("a.jpg", 2)
        for each in (first, second):
            values = (each.id, each.app_id, each.object_id, each.body, each.received_at)
            older.execute("INSERT INTO events (id, app, object, body, received_at) VALUES (?, ?, ?, ?, ?)", values)
        older.execute("INSERT INTO objects VALUES (?, 'a', ?, 3, 'a holder')", (first.object_id, later))
    async with opened(str(path)) as queue:
        await queue.put(other := event("b.jpg"), remember_until=0)
        claims = await claim(queue)
        assert {claimed.event.id for claimed in claims} == {first.id, other.id}
        for claimed in claims:
            await queue.remove(claimed)
        assert (await claim_one(queue)).event == second


async def test_file_of_a_version_before_that_keeps_its_events(tmp_path: Path) -> None:
    path = tmp_path / "callbacks.db"
    async with opened(str(path)) as queue:
        await queue.put(event("a.jpg"), remember_until=0)
    with contextlib.closing(sqlite3.connect(path)) as older, older:
        for trigger in ("event_added", "event_removed", "id_accepted", "id_forgotten"):
            older.execute(f"DROP TRIGGER {trigger}")
        older.execute("DROP TABLE counts")
        older.execute("DROP TABLE accepted")
    async with opened(str(path)) as queue:
        await queue.put(event("b.jpg"), remember_until=0)
        for left in (1, 0):
            await queue.remove(await claim_one(queue))
            assert queue.depth() == left


async def test_claim_has_the_end_of_its_lease(queue: EventQueue) -> None:
    await queue.put(event("a.jpg"), remember_until=0)
    before = asyncio.get_running_loop().time()
    claimed = await claim_one(queue)
    assert before + LEASE_SECONDS <= claimed.lease_ends_at <= asyncio.get_running_loop().time() + LEASE_SECONDS


async def test_queue_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "callbacks.db"
    async with opened(str(path)) as queue:
        await queue.put(event("a.jpg"), remember_until=0)
        assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_invalid_queue_address_is_reported() -> None:
    for address in ("mysql://x", "redis://host:no-port/0", ""):
        with pytest.raises(CannotOpenQueue):
            open_queue(address, lease_seconds=LEASE_SECONDS)


async def test_locked_file_makes_the_queue_unavailable(tmp_path: Path) -> None:
    """Operations that wait for the lock are done when it is released."""
    path = tmp_path / "callbacks.db"
    async with opened(str(path)) as queue:
        await queue.put(event("a.jpg"), remember_until=0)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(QueueUnavailable):
                await queue.put(event("b.jpg"), remember_until=0)
            other.execute("ROLLBACK")
        await queue.put(event("c.jpg"), remember_until=0)
        assert {claimed.event.object_id for claimed in await claim(queue)} == {"a/photos/a.jpg", "a/photos/c.jpg"}


async def test_cancelled_put_adds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback that was not stored in time got 503, so its event must not be stored afterwards."""
    has_begun = threading.Event()

    class WatchedConnection(sqlite3.Connection):
        def execute(self, sql: str, /, *parameters: Any) -> sqlite3.Cursor:
            if sql == "BEGIN IMMEDIATE":
                has_begun.set()
            return super().execute(sql, *parameters)

    path = tmp_path / "callbacks.db"
    connect = sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", functools.partial(connect, factory=WatchedConnection))
        patch.setattr("signer.delivery.sqlite_file._LOCK_TIMEOUT_SECONDS", DEADLINE_SECONDS)
        queue = SqliteQueue.open(path, lease_seconds=LEASE_SECONDS)
        assert await claim(queue) == []
    has_begun.clear()
    async with closing(queue):
        with contextlib.closing(connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            blocked = asyncio.create_task(queue.put(event("a.jpg"), remember_until=0))
            await asyncio.to_thread(has_begun.wait)
            cancelled = asyncio.create_task(queue.put(event("b.jpg"), remember_until=0))
            await asyncio.sleep(0)
            cancelled.cancel()
            other.execute("ROLLBACK")
        await blocked
        assert [claimed.event.object_id for claimed in await claim(queue)] == ["a/photos/a.jpg"]


async def test_redis_restart_loses_no_event(redis: RedisServer) -> None:
    async with opened(f"redis://127.0.0.1:{redis.port}/0") as queue:
        for number in range(5):
            await queue.put(event(f"{number}.jpg"), remember_until=0)
        held = await claim(queue, 2)
        await redis.stop()
        for work in (queue.put(event("x.jpg"), remember_until=0), claim(queue), queue.remove(held[0])):
            with pytest.raises(QueueUnavailable):
                await work
        await redis.start()
        await queue.remove(held[0])
        assert len(await claim(queue, 10)) == 3
        assert queue.depth() == 4


async def test_redis_keeps_nothing_of_completed_events(redis: RedisServer) -> None:
    async with opened(f"redis://127.0.0.1:{redis.port}/0") as queue:
        for number in range(6):
            await queue.put(event(f"{number % 2}.jpg", number), remember_until=0)
        for _ in range(6):
            claimed = await claim_one(queue)
            await queue.retry_later(claimed, 0)
            await queue.remove(await claim_one(queue))
        assert await claim(queue) == []
    async with Redis.from_url(f"redis://127.0.0.1:{redis.port}/0") as client:
        left = {str(key): await client.type(key) for key in await client.keys("*")}
        prefix = "{oss-signer:callbacks}:"
        assert left == {f"b'{prefix}ready:a'": b"stream", f"b'{prefix}clock'": b"string"}
        assert await client.xlen("{oss-signer:callbacks}:ready:a") == 0


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("appendonly", "no", "appendonly"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ],
)
async def test_redis_settings_that_lose_events_are_logged(
    setting: str, value: str, reason: str, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Redis.from_url(f"redis://127.0.0.1:{redis.port}/0") as client:
        await client.config_set("maxmemory", "100mb")
        await client.config_set(setting, value)
    async with opened(f"redis://127.0.0.1:{redis.port}/0") as queue:
        await claim(queue)
        await claim(queue)
    reasons = [vars(record)["reason"] for record in caplog.records if record.message == "callback queue not durable"]
    assert [reason in each for each in reasons].count(True) == 1, reasons
