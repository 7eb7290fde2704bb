"""Queue files that cannot be used: the queue is unavailable until they can, and a corrupt one is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from signer.delivery.queue import EventQueue, QueueUnavailable, UploadEvent
from signer.delivery.sqlite_salvage import salvage_events
from tests.delivery.queued_events import claim, event, opened, put
from tests.harness.waiting import wait_until

PAGE = 4096
EVENTS = 300


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "callbacks.db"


@pytest.fixture(autouse=True)
def _retry_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is opened again at once after an error."""
    monkeypatch.setattr("signer.delivery.sqlite_file._FIRST_RETRY_SECONDS", 0.0)
    monkeypatch.setattr("signer.delivery.sqlite_file._LOOK_INTERVAL_SECONDS", 0.0)


async def is_available(queue: EventQueue) -> bool:
    with contextlib.suppress(QueueUnavailable):
        await claim(queue, 0)
        return True
    return False


async def fill(path: Path, number: int = EVENTS) -> list[UploadEvent]:
    """Write a queue file with events, which are larger than those of most apps."""
    events = [event(f"{each}.jpg", each, text="x" * 700) for each in range(number)]
    async with opened(str(path)) as queue:
        await put(queue, *events)
    return events


async def claimed_ids(queue: EventQueue) -> list[str]:
    """Return the ids of all events, in the order of their claims."""
    found: list[str] = []
    await claim(queue, 0)
    while queue.depth():
        for each in await claim(queue, 1000):
            found.append(each.event.id)
            await queue.remove(each)
    return found


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def truncate(path: Path, size: int) -> None:
    os.truncate(path, size)


CORRUPTIONS: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: path.write_text("hello " * 1000),
    "half": lambda path: truncate(path, path.stat().st_size // 2),
    "part of a page": lambda path: truncate(path, 100),
    "no header": lambda path: overwrite(path, 0, b"x" * PAGE),
    "random pages": lambda path: overwrite(path, 20 * PAGE, os.urandom(10 * PAGE)),
    "zeros in pages": lambda path: overwrite(path, 20 * PAGE + 700, bytes(PAGE)),
}


def moved_files(path: Path) -> list[Path]:
    names = path.parent.glob("callbacks.db.corrupt-*")
    return sorted(each for each in names if not each.name.endswith(("-wal", "-shm")))


@pytest.mark.parametrize("name", CORRUPTIONS)
async def test_corrupt_file_is_moved_aside_at_the_start(
    name: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A new file takes its place, and the log has the names of both."""
    await fill(path)
    CORRUPTIONS[name](path)
    corrupt = path.read_bytes()
    async with opened(str(path), lease_seconds=0.0) as queue:
        new = event("new.jpg")
        await put(queue, new)
        assert new.id in await claimed_ids(queue)
        [moved] = moved_files(path)
        assert queue.corrupt_files() == (str(moved),)
    assert moved.read_bytes() == corrupt
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.message == "callback queue file corrupt"
    assert (vars(record)["file"], vars(record)["moved_to"]) == (str(path), str(moved))
    assert vars(record)["reason"]
    assert not path.with_name("callbacks.db.new").exists()


@pytest.mark.parametrize(
    ("name", "lost"), [("half", EVENTS // 2 + 50), ("random pages", 60), ("zeros in pages", 20), ("no header", EVENTS)]
)
async def test_readable_events_of_a_corrupt_file_are_kept_in_order(
    name: str, lost: int, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    events = await fill(path)
    CORRUPTIONS[name](path)
    async with opened(str(path), lease_seconds=0.0) as queue:
        ids = await claimed_ids(queue)
    expected = [each.id for each in events]
    assert set(ids) <= set(expected)
    assert len(expected) - lost <= len(ids) < len(expected)
    [record] = [each for each in caplog.records if each.message == "callback queue file corrupt"]
    assert vars(record)["salvaged_events"] == len(ids)


async def test_salvaged_events_of_one_object_stay_in_order(path: Path) -> None:
    events = [event("a.jpg", each, text="x" * 700) for each in range(EVENTS)]
    async with opened(str(path)) as queue:
        await put(queue, *events)
    CORRUPTIONS["random pages"](path)
    async with opened(str(path), lease_seconds=0.0) as queue:
        ids = await claimed_ids(queue)
    places = [[each.id for each in events].index(each) for each in ids]
    assert len(places) > EVENTS // 2
    assert places == sorted(places)


async def test_salvaged_dead_letters_are_kept(path: Path) -> None:
    async with opened(str(path)) as queue:
        await put(queue, event("a.jpg"))
        [claimed] = await claim(queue)
        await queue.add_dead_letter(claimed, "status 400")
        await put(queue, *(event(f"{each}.jpg", each, text="x" * 700) for each in range(EVENTS)))
    CORRUPTIONS["random pages"](path)
    async with opened(str(path)) as queue:
        [letter] = await queue.dead_letters(None, after="", limit=10)
        assert (letter.event, letter.reason) == (claimed.event, "status 400")


async def test_salvaged_events_are_due_when_no_process_can_have_them_in_flight(path: Path) -> None:
    await fill(path)
    CORRUPTIONS["random pages"](path)
    async with opened(str(path), lease_seconds=300.0) as queue:
        assert await claim(queue) == []
        assert queue.depth() > EVENTS // 2


@pytest.fixture
async def running(path: Path) -> AsyncIterator[EventQueue]:
    """A queue with events, which reads its file again because another process has written to it."""
    await fill(path)
    async with opened(str(path), lease_seconds=0.0) as queue:
        assert await is_available(queue)
        with contextlib.closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE objects SET due_at = 0")
        yield queue


@pytest.mark.parametrize("name", ["text", "half", "part of a page", "random pages"])
async def test_file_that_becomes_corrupt_is_replaced_while_it_is_used(
    name: str, running: EventQueue, path: Path
) -> None:
    CORRUPTIONS[name](path)
    new = event("new.jpg")
    await put(running, new)
    assert new.id in await claimed_ids(running)
    [moved] = moved_files(path)
    assert running.corrupt_files() == (str(moved),)
    moved.unlink()
    await claim(running)
    assert running.corrupt_files() == ()


async def test_damaged_event_does_not_stop_delivery(path: Path) -> None:
    """SQLite does not notice it, because only the text of the event has changed."""
    async with opened(str(path), lease_seconds=0.0) as queue:
        await put(queue, event("bad.jpg"), good := event("good.jpg"))
        with contextlib.closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE events SET body = x'00' WHERE object = 'a/photos/bad.jpg'")
        assert await claimed_ids(queue) == [good.id]
        assert len(moved_files(path)) == 1


@pytest.mark.parametrize("statement", ["DELETE FROM events", "DELETE FROM counts"])
async def test_missing_rows_do_not_stop_delivery(statement: str, path: Path) -> None:
    async with opened(str(path), lease_seconds=0.0) as queue:
        await put(queue, event("a.jpg"))
        with contextlib.closing(sqlite3.connect(path)) as other, other:
            other.execute(statement)
        await claimed_ids(queue)
        await put(queue, new := event("b.jpg"))
        assert await claimed_ids(queue) == [new.id]
        assert len(moved_files(path)) == 1


async def test_a_corrupt_file_replaces_no_other_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files within one second would get the same name. The second one waits for the next second."""
    now = datetime.now(UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, _zone: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return now

    monkeypatch.setattr("signer.delivery.sqlite_file.datetime", Clock)
    await fill(path, 1)
    CORRUPTIONS["text"](path)
    async with opened(str(path)) as queue:
        assert await is_available(queue)
    CORRUPTIONS["half"](path)
    async with opened(str(path)) as queue:
        assert not await is_available(queue)
        assert len(moved_files(path)) == 1
        now += timedelta(seconds=1)
        await wait_until(lambda: is_available(queue))
        assert len(moved_files(path)) == 2


async def test_other_signers_use_the_new_file_too(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One of them replaces it. What the others add is in the new one, and nothing is lost."""
    await fill(path)
    async with opened(str(path), lease_seconds=0.0) as one, opened(str(path), lease_seconds=0.0) as other:
        for queue in (one, other):
            assert await is_available(queue)
        CORRUPTIONS["random pages"](path)
        events = [event(f"new {number}.jpg") for number in range(6)]
        for number, each in enumerate(events):
            await put((one, other)[number % 2], each)
        ids = await claimed_ids(one)
        assert {each.id for each in events} <= set(ids)
        assert len(set(ids)) == len(ids)
        assert await claimed_ids(other) == []
    assert len(moved_files(path)) == 1
    messages = [each.message for each in caplog.records if each.levelno >= logging.WARNING]
    assert sorted(messages) == ["callback queue file corrupt", "callback queue file replaced"]


async def test_two_signers_that_find_the_same_corrupt_file_replace_it_once(path: Path) -> None:
    await fill(path)
    CORRUPTIONS["random pages"](path)
    async with opened(str(path)) as one, opened(str(path)) as other:
        await asyncio.gather(*(wait_until(functools.partial(is_available, each)) for each in (one, other)))
        assert len(moved_files(path)) == 1


async def test_no_process_adds_an_event_to_a_corrupt_file_while_it_is_replaced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would never be delivered."""
    await fill(path)
    CORRUPTIONS["random pages"](path)
    attempts: list[str] = []

    def salvage(corrupt: sqlite3.Connection, fresh: sqlite3.Connection, *, due_at: float) -> int:
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
                attempts.append("succeeded")
            except sqlite3.OperationalError as error:
                attempts.append(str(error))
        return salvage_events(corrupt, fresh, due_at=due_at)

    monkeypatch.setattr("signer.delivery.sqlite_queue.salvage_events", salvage)
    async with opened(str(path)) as queue:
        assert await is_available(queue)
    assert attempts == ["database is locked"]


async def test_what_a_killed_process_left_is_not_used(path: Path) -> None:
    """It was replacing an earlier file."""
    async with opened(str(path.with_name("callbacks.db.new"))) as left:
        await put(left, stale := event("stale.jpg"))
    await fill(path)
    CORRUPTIONS["random pages"](path)
    async with opened(str(path), lease_seconds=0.0) as queue:
        ids = await claimed_ids(queue)
    assert len(ids) > EVENTS // 2
    assert stale.id not in ids


async def test_deleted_file_is_created_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An event in a file without a name would be lost at the next start."""
    async with opened(str(path)) as queue:
        await put(queue, event("a.jpg"))
        shutil.rmtree(path.parent)
        await put(queue, event("b.jpg"))
        assert [each.event.object_id for each in await claim(queue)] == ["a/photos/b.jpg"]
    async with opened(str(path)) as queue:
        await claim(queue)
        assert queue.depth() == 1
    assert "callback queue file replaced" in [each.message for each in caplog.records]


async def test_queue_is_unavailable_until_its_file_can_be_opened(path: Path) -> None:
    path.mkdir(parents=True)
    async with opened(str(path)) as queue:
        for _ in range(3):
            with pytest.raises(QueueUnavailable):
                await queue.put(event("a.jpg"), remember_until=0)
        path.rmdir()
        await wait_until(lambda: is_available(queue))
        await put(queue, event("a.jpg"))
    assert path.is_file()


async def test_full_disk_makes_the_queue_unavailable_until_there_is_space(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the maximum number of pages of the database, which gives the same error."""
    connections: list[sqlite3.Connection] = []

    class RecordedConnection(sqlite3.Connection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            connections.append(self)

    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=RecordedConnection))
    async with opened(str(path)) as queue:
        await put(queue, stored := event("a.jpg"))
        connections[-1].execute("PRAGMA max_page_count = 1")
        with pytest.raises(QueueUnavailable, match="the disk is full"):
            await queue.put(event("b.jpg", text="x" * 100_000), remember_until=0)
        connections[-1].execute("PRAGMA max_page_count = 1000000")
        await put(queue, later := event("c.jpg"))
        assert {each.event.id for each in await claim(queue)} == {stored.id, later.id}


async def test_disk_that_hangs_makes_the_queue_unavailable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue works again when the disk does, and closing it does not wait for a disk that hangs."""
    responds = threading.Event()

    class HangingConnection(sqlite3.Connection):
        def execute(self, sql: str, /, *parameters: Any) -> sqlite3.Cursor:
            if sql == "BEGIN IMMEDIATE":
                responds.wait()
            return super().execute(sql, *parameters)

    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=HangingConnection))
    monkeypatch.setattr("signer.delivery.sqlite_thread._DEADLINE_SECONDS", 0.1)
    monkeypatch.setattr("signer.delivery.sqlite_thread._CLOSE_SECONDS", 0.1)
    async with opened(str(path)) as queue:
        for _ in range(2):
            with pytest.raises(QueueUnavailable, match="the disk did not respond"):
                await claim(queue)
        responds.set()
        await wait_until(lambda: is_available(queue))
        responds.clear()
        with pytest.raises(QueueUnavailable):
            await claim(queue)
    responds.set()


async def test_database_of_something_else_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE events (name TEXT)")
    async with opened(str(path)) as queue:
        with pytest.raises(QueueUnavailable, match="no such column"):
            await claim(queue)
        assert moved_files(path) == []
