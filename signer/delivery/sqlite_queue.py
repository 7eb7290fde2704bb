"""The queue in a SQLite file, for the signers of one machine; each `put` is synced to the disk.

An event waits by the monotonic clock, which all processes of a machine share, so setting the clock changes nothing.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from signer.delivery import sqlite_claims, sqlite_dead_letters
from signer.delivery.queue import (
    DEFAULT_MAX_EVENTS,
    MAX_RETRY_DELAY_SECONDS,
    ClaimedEvent,
    DeadLetter,
    QueueFull,
    UploadEvent,
    max_dead_letters,
)
from signer.delivery.rejections import Rejections
from signer.delivery.sqlite_file import CorruptFile, SqliteFile
from signer.delivery.sqlite_salvage import salvage_events
from signer.delivery.sqlite_thread import SqliteThread

_SCHEMA = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")

_APPS = """
WITH RECURSIVE known(app) AS (
    SELECT min(app) FROM objects
    UNION ALL
    SELECT (SELECT min(app) FROM objects WHERE app > known.app) FROM known WHERE known.app IS NOT NULL
)
SELECT app FROM known WHERE app IS NOT NULL
"""
"""Returns each app once. It skips from app to app in the index, so an app with many waiting objects costs no more.

See: https://www.sqlite.org/lang_with.html
"""

_FORGET_ENDED = "DELETE FROM accepted WHERE id IN (SELECT id FROM accepted WHERE until < ? LIMIT 8)"
_FORGET_FIRST = "DELETE FROM accepted WHERE id = (SELECT id FROM accepted WHERE app = ? ORDER BY until LIMIT 1)"

_DUE = """
SELECT object FROM objects WHERE app = :app AND due_at <= :now
UNION ALL
SELECT object FROM objects WHERE app = :app AND due_at > :max_due_at
LIMIT :limit
"""
"""Returns objects that are due. A time further ahead than any delay was written before the machine started, or by a
signer of an older version.
"""

_MARK_LATE = """
INSERT INTO attempts (sequence, is_late) SELECT sequence, 1 FROM events WHERE object = ? AND sequence < ?
ON CONFLICT (sequence) DO UPDATE SET is_late = 1
"""

_QUEUE_AGAIN = "INSERT INTO events (sequence, id, app, object, body, received_at) VALUES (?, ?, ?, ?, ?, ?)"
_MAKE_DUE = """
INSERT INTO objects (object, app, due_at) VALUES (?, ?, ?)
ON CONFLICT (object) DO UPDATE SET due_at = excluded.due_at WHERE holder IS NULL
"""


class SqliteQueue:
    """Several processes of one machine can open the same file. Create it with `open`."""

    def __init__(
        self,
        file: SqliteFile,
        thread: SqliteThread,
        lease_seconds: float,
        max_events: int,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._file = file
        self._thread = thread
        self._lease_seconds = lease_seconds
        self._max_events = max_events
        self._max_ahead_seconds = max(lease_seconds, MAX_RETRY_DELAY_SECONDS)
        self._now = now
        self._monotonic = monotonic
        self._depth = 0
        self._dead_letter_count = 0

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        lease_seconds: float,
        max_events: int = DEFAULT_MAX_EVENTS,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> SqliteQueue:
        """Return the queue of a file, which is opened or created at the first operation."""

        def salvage(corrupt: sqlite3.Connection, fresh: sqlite3.Connection) -> int:
            # By then, no process has an event in flight that it claimed in the corrupt file.
            return salvage_events(corrupt, fresh, due_at=monotonic() + lease_seconds)

        file = SqliteFile(path, _SCHEMA, salvage)
        return cls(file, SqliteThread.start(file), lease_seconds, max_events, now, monotonic)

    async def put(self, event: UploadEvent, *, remember_until: float) -> bool:
        now = self._now()

        def put(connection: sqlite3.Connection) -> bool:
            connection.execute(_FORGET_ENDED, (now,))
            if connection.execute("SELECT 1 FROM accepted WHERE id = ?", (event.id,)).fetchone() is not None:
                return False
            free = self._max_events - self._read_depth(connection)
            counted = connection.execute(
                "SELECT events, accepted FROM counts WHERE app = ?", (event.app_id,)
            ).fetchone()
            own_events, remembered = counted or (0, 0)
            if free <= 0 or 2 * own_events >= free:
                raise QueueFull
            if remembered >= self._max_events:
                connection.execute(_FORGET_FIRST, (event.app_id,))
            connection.execute("INSERT INTO accepted VALUES (?, ?, ?)", (event.id, event.app_id, remember_until))
            row = (event.id, event.app_id, event.object_id, event.body, event.received_at)
            connection.execute("INSERT INTO events (id, app, object, body, received_at) VALUES (?, ?, ?, ?, ?)", row)
            connection.execute(
                "INSERT OR IGNORE INTO objects (object, app, due_at) VALUES (?, ?, ?)",
                (event.object_id, event.app_id, self._monotonic()),
            )
            self._depth += 1
            return True

        return await self._thread.run(put, QueueFull)

    async def claim(self, max_events: int, slots_by_app: Mapping[str, int], default_slots: int) -> list[ClaimedEvent]:
        now = self._monotonic()
        lease_ends_at = now + self._lease_seconds
        due = {"now": now, "max_due_at": now + self._max_ahead_seconds}

        def claim(connection: sqlite3.Connection) -> list[ClaimedEvent]:
            self._read_depth(connection)
            self._dead_letter_count = sqlite_dead_letters.count(connection)
            claimed: list[ClaimedEvent] = []
            app_ids = [app_id for (app_id,) in connection.execute(_APPS)]
            random.shuffle(app_ids)
            for app_id in app_ids:
                free_slots = min(slots_by_app.get(app_id, default_slots), max_events - len(claimed))
                if free_slots > 0:
                    object_ids = connection.execute(_DUE, {"app": app_id, "limit": free_slots, **due}).fetchall()
                    claimed += [
                        sqlite_claims.claim_object(connection, object_id, lease_ends_at) for (object_id,) in object_ids
                    ]
            return claimed

        return await self._thread.run(claim)

    async def remove(self, claimed: ClaimedEvent) -> None:
        def remove(connection: sqlite3.Connection) -> None:
            sequence = sqlite_claims.claimed_sequence(connection, claimed)
            if sequence is not None:
                object_id = claimed.event.object_id
                connection.execute(_MARK_LATE, (object_id, sequence))
                sqlite_dead_letters.mark_late(connection, object_id, sequence)
                self._end_event(connection, object_id, sequence)

        await self._thread.run(remove)

    async def retry_later(
        self, claimed: ClaimedEvent, delay_seconds: float, *, rejections: Rejections | None = None
    ) -> None:
        now, delay_seconds = self._monotonic(), min(delay_seconds, MAX_RETRY_DELAY_SECONDS)

        def retry_later(connection: sqlite3.Connection) -> None:
            sequence = sqlite_claims.claimed_sequence(connection, claimed)
            if sequence is not None:
                sqlite_claims.count_failure(connection, sequence, rejections)
                object_id = claimed.event.object_id
                sqlite_claims.return_event(connection, object_id, sequence, now=now, delay_seconds=delay_seconds)

        await self._thread.run(retry_later)

    async def release(self, claimed: ClaimedEvent, delay_seconds: float = 0.0) -> None:
        now = self._monotonic()

        def release(connection: sqlite3.Connection) -> None:
            sequence = sqlite_claims.claimed_sequence(connection, claimed)
            if sequence is not None:
                object_id = claimed.event.object_id
                sqlite_claims.return_event(connection, object_id, sequence, now=now, delay_seconds=delay_seconds)

        await self._thread.run(release)

    async def add_dead_letter(self, claimed: ClaimedEvent, reason: str) -> list[DeadLetter]:
        now = self._now()

        def add(connection: sqlite3.Connection) -> list[DeadLetter]:
            sequence = sqlite_claims.claimed_sequence(connection, claimed)
            if sequence is None:
                return []
            self._end_event(connection, claimed.event.object_id, sequence)
            max_count = max_dead_letters(self._max_events)
            dropped = sqlite_dead_letters.add(connection, claimed, sequence, reason, now=now, max_count=max_count)
            self._dead_letter_count = sqlite_dead_letters.count(connection)
            return dropped

        return await self._thread.run(add)

    async def dead_letters(self, app_id: str | None, *, after: str, limit: int) -> list[DeadLetter]:
        return await self._thread.run(
            lambda connection: sqlite_dead_letters.find(connection, app_id, after=after, limit=limit)
        )

    async def retry_dead_letter(self, event_id: str) -> bool:
        now = self._now()

        def retry(connection: sqlite3.Connection) -> bool:
            letter = sqlite_dead_letters.take(connection, event_id)
            if letter is None:
                return False
            event, sequence = letter.event, int(letter.position)
            row = (sequence, event.id, event.app_id, event.object_id, event.body, event.received_at)
            connection.execute(_QUEUE_AGAIN, row)
            attempts = (sequence, now, letter.is_late)
            connection.execute("INSERT INTO attempts (sequence, retried_at, is_late) VALUES (?, ?, ?)", attempts)
            connection.execute(_MAKE_DUE, (event.object_id, event.app_id, self._monotonic()))
            self._read_depth(connection)
            self._dead_letter_count = sqlite_dead_letters.count(connection)
            return True

        return await self._thread.run(retry)

    async def drop_dead_letter(self, event_id: str) -> bool:
        def drop(connection: sqlite3.Connection) -> bool:
            is_dropped = sqlite_dead_letters.drop(connection, event_id)
            self._dead_letter_count = sqlite_dead_letters.count(connection)
            return is_dropped

        return await self._thread.run(drop)

    def depth(self) -> int:
        return self._depth

    def dead_letter_count(self) -> int:
        return self._dead_letter_count

    def corrupt_files(self) -> tuple[str, ...]:
        return self._file.corrupt_files

    async def close(self) -> None:
        await self._thread.close()

    def _end_event(self, connection: sqlite3.Connection, object_id: str, sequence: int) -> None:
        """Delete a claimed event, and make the next one of its object due."""
        connection.execute("DELETE FROM events WHERE sequence = ?", (sequence,))
        if connection.execute("SELECT 1 FROM events WHERE object = ? LIMIT 1", (object_id,)).fetchone() is None:
            connection.execute("DELETE FROM objects WHERE object = ?", (object_id,))
        else:
            sqlite_claims.end_claim(connection, object_id, self._monotonic())
        self._read_depth(connection)

    def _read_depth(self, connection: sqlite3.Connection) -> int:
        row = connection.execute("SELECT events FROM counts WHERE app = ''").fetchone()
        if row is None:
            raise CorruptFile("the number of events is missing")
        self._depth = row[0]
        return self._depth
