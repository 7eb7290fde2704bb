"""The queue as a file, for the signers of one machine: SQLite with WAL, each put synced to the disk."""

from __future__ import annotations

import random
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from signer.delivery.events import ClaimedEvent, UploadEvent
from signer.delivery.queue import DEFAULT_MAX_EVENTS, QueueFull
from signer.delivery.sqlite_thread import SqliteThread

_FAR_SECONDS = 3600.0
"""Nothing is due so far ahead: what seems to be was written before the clock was set back."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    app TEXT NOT NULL,
    object TEXT NOT NULL,
    body BLOB NOT NULL,
    received_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_an_object ON events (object, sequence);
CREATE TABLE IF NOT EXISTS objects (
    object TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    due_at REAL NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    holder TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS objects_due ON objects (app, due_at);
CREATE TABLE IF NOT EXISTS depth (only INTEGER PRIMARY KEY CHECK (only = 1), events INTEGER NOT NULL);
INSERT OR IGNORE INTO depth VALUES (1, 0);
CREATE TRIGGER IF NOT EXISTS more AFTER INSERT ON events BEGIN UPDATE depth SET events = events + 1; END;
CREATE TRIGGER IF NOT EXISTS fewer AFTER DELETE ON events BEGIN UPDATE depth SET events = events - 1; END;
"""
"""An object has a row while events of it wait; `due_at` is also when a claim of it ends. Times are epoch seconds."""

_APPS = """
WITH RECURSIVE known(app) AS (
    SELECT min(app) FROM objects
    UNION ALL
    SELECT (SELECT min(app) FROM objects WHERE app > known.app) FROM known WHERE known.app IS NOT NULL
)
SELECT app FROM known WHERE app IS NOT NULL
"""
"""Each app once, found by leaping over all its objects: those of one that cannot be told now cost nothing."""

_DUE = """
SELECT object FROM objects WHERE app = :app AND due_at <= :now
UNION ALL
SELECT object FROM objects WHERE app = :app AND due_at > :far
LIMIT :most
"""


class SqliteQueue:
    """Make it with `open`. Several processes of one machine may have the same file open."""

    def __init__(
        self, thread: SqliteThread, lease_seconds: float, max_events: int, now: Callable[[], float] = time.time
    ) -> None:
        self._thread = thread
        self._lease_seconds = lease_seconds
        self._most_events = max_events
        self._now = now
        self._depth = 0

    @classmethod
    async def open(cls, path: Path, *, lease_seconds: float, max_events: int = DEFAULT_MAX_EVENTS) -> SqliteQueue:
        """Raises `CannotOpenQueue`."""
        return cls(await SqliteThread.open(path, _SCHEMA), lease_seconds, max_events)

    async def put(self, event: UploadEvent) -> None:
        now = self._now()

        def put(connection: sqlite3.Connection) -> None:
            if self._counted(connection) >= self._most_events:
                raise QueueFull
            row = (event.id, event.app, event.object, event.body, event.received_at)
            connection.execute("INSERT INTO events (id, app, object, body, received_at) VALUES (?, ?, ?, ?, ?)", row)
            connection.execute(
                "INSERT OR IGNORE INTO objects (object, app, due_at) VALUES (?, ?, ?)", (event.object, event.app, now)
            )
            self._depth += 1

        await self._thread.run(put, QueueFull)

    async def take(self, most: int, room: Mapping[str, int], room_for_others: int) -> list[ClaimedEvent]:
        now, until = self._now(), time.monotonic() + self._lease_seconds

        def take(connection: sqlite3.Connection) -> list[ClaimedEvent]:
            self._counted(connection)
            claims: list[ClaimedEvent] = []
            apps = [app for (app,) in connection.execute(_APPS)]
            random.shuffle(apps)
            for app in apps:
                free = min(room.get(app, room_for_others), most - len(claims))
                if free > 0:
                    wanted = {"app": app, "now": now, "far": now + _FAR_SECONDS, "most": free}
                    due = connection.execute(_DUE, wanted).fetchall()
                    claims += [_claim(connection, name, now + self._lease_seconds, until) for (name,) in due]
            return claims

        return await self._thread.run(take)

    async def done(self, claim: ClaimedEvent) -> None:
        now = self._now()

        def done(connection: sqlite3.Connection) -> None:
            if not _is_held(connection, claim):
                return
            name = claim.event.object
            first = "SELECT min(sequence) FROM events WHERE object = ?"
            connection.execute(f"DELETE FROM events WHERE sequence = ({first})", (name,))  # noqa: S608
            (following,) = connection.execute(first, (name,)).fetchone()
            if following is None:
                connection.execute("DELETE FROM objects WHERE object = ?", (name,))
            else:
                _set_free(connection, name, now, 0)
            self._counted(connection)

        await self._thread.run(done)

    async def later(self, claim: ClaimedEvent, seconds: float) -> None:
        await self._put_back(claim, self._now() + seconds, claim.failures + 1)

    async def release(self, claim: ClaimedEvent) -> None:
        await self._put_back(claim, self._now(), claim.failures)

    async def _put_back(self, claim: ClaimedEvent, due_at: float, failures: int) -> None:
        def put_back(connection: sqlite3.Connection) -> None:
            if _is_held(connection, claim):
                _set_free(connection, claim.event.object, due_at, failures)

        await self._thread.run(put_back)

    def _counted(self, connection: sqlite3.Connection) -> int:
        (self._depth,) = connection.execute("SELECT events FROM depth").fetchone()
        return self._depth

    def depth(self) -> int:
        return self._depth

    async def close(self) -> None:
        await self._thread.close()


def _claim(connection: sqlite3.Connection, name: str, due_at: float, until: float) -> ClaimedEvent:
    holder = uuid.uuid4().hex
    connection.execute("UPDATE objects SET due_at = ?, holder = ? WHERE object = ?", (due_at, holder, name))
    (failures,) = connection.execute("SELECT failures FROM objects WHERE object = ?", (name,)).fetchone()
    row = connection.execute(
        "SELECT id, app, object, body, received_at FROM events WHERE object = ? ORDER BY sequence LIMIT 1", (name,)
    ).fetchone()
    return ClaimedEvent(UploadEvent(*row), failures, holder, until)


def _is_held(connection: sqlite3.Connection, claim: ClaimedEvent) -> bool:
    row = connection.execute("SELECT holder FROM objects WHERE object = ?", (claim.event.object,)).fetchone()
    return row is not None and bool(row[0] == claim.holder)


def _set_free(connection: sqlite3.Connection, name: str, due_at: float, failures: int) -> None:
    connection.execute(
        "UPDATE objects SET due_at = ?, failures = ?, holder = NULL WHERE object = ?", (due_at, failures, name)
    )
