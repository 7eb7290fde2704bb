"""The queue in a SQLite file, for the signers of one machine; each `put` is synced to the disk."""

from __future__ import annotations

import random
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from signer.delivery.queue import DEFAULT_MAX_EVENTS, ClaimedEvent, QueueFull, UploadEvent
from signer.delivery.sqlite_thread import SqliteThread

_MAX_DUE_AHEAD_SECONDS = 3600.0
"""A time further ahead was written before the clock was set back, so its event is due now."""

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


class SqliteQueue:
    """Several processes of one machine can open the same file. Create it with `open`."""

    def __init__(
        self, thread: SqliteThread, lease_seconds: float, max_events: int, now: Callable[[], float] = time.time
    ) -> None:
        self._thread = thread
        self._lease_seconds = lease_seconds
        self._max_events = max_events
        self._now = now
        self._depth = 0

    @classmethod
    async def open(cls, path: Path, *, lease_seconds: float, max_events: int = DEFAULT_MAX_EVENTS) -> SqliteQueue:
        """Open the file, or create it. Raises `CannotOpenQueue`."""
        return cls(await SqliteThread.open(path, _SCHEMA), lease_seconds, max_events)

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
                (event.object_id, event.app_id, now),
            )
            self._depth += 1
            return True

        return await self._thread.run(put, QueueFull)

    async def claim(self, max_events: int, slots_by_app: Mapping[str, int], default_slots: int) -> list[ClaimedEvent]:
        now, lease_ends_at = self._now(), time.monotonic() + self._lease_seconds

        def claim(connection: sqlite3.Connection) -> list[ClaimedEvent]:
            self._read_depth(connection)
            claimed: list[ClaimedEvent] = []
            app_ids = [app_id for (app_id,) in connection.execute(_APPS)]
            random.shuffle(app_ids)
            for app_id in app_ids:
                free_slots = min(slots_by_app.get(app_id, default_slots), max_events - len(claimed))
                if free_slots > 0:
                    due = {"app": app_id, "now": now, "max_due_at": now + _MAX_DUE_AHEAD_SECONDS, "limit": free_slots}
                    object_ids = connection.execute(_DUE, due).fetchall()
                    claimed += [
                        _claim_object(connection, object_id, now + self._lease_seconds, lease_ends_at)
                        for (object_id,) in object_ids
                    ]
            return claimed

        return await self._thread.run(claim)

    async def remove(self, claimed: ClaimedEvent) -> None:
        now = self._now()

        def remove(connection: sqlite3.Connection) -> None:
            if not _is_current(connection, claimed):
                return
            object_id = claimed.event.object_id
            oldest = "SELECT min(sequence) FROM events WHERE object = ?"
            connection.execute(f"DELETE FROM events WHERE sequence = ({oldest})", (object_id,))  # noqa: S608
            (next_event,) = connection.execute(oldest, (object_id,)).fetchone()
            if next_event is None:
                connection.execute("DELETE FROM objects WHERE object = ?", (object_id,))
            else:
                _end_claim(connection, object_id, now, 0)
            self._read_depth(connection)

        await self._thread.run(remove)

    async def retry_later(self, claimed: ClaimedEvent, delay_seconds: float) -> None:
        await self._return(claimed, self._now() + delay_seconds, claimed.failures + 1)

    async def release(self, claimed: ClaimedEvent) -> None:
        await self._return(claimed, self._now(), claimed.failures)

    async def _return(self, claimed: ClaimedEvent, due_at: float, failures: int) -> None:
        def return_to_queue(connection: sqlite3.Connection) -> None:
            if _is_current(connection, claimed):
                _end_claim(connection, claimed.event.object_id, due_at, failures)

        await self._thread.run(return_to_queue)

    def _read_depth(self, connection: sqlite3.Connection) -> int:
        (self._depth,) = connection.execute("SELECT events FROM counts WHERE app = ''").fetchone()
        return self._depth

    def depth(self) -> int:
        return self._depth

    async def close(self) -> None:
        await self._thread.close()


def _claim_object(connection: sqlite3.Connection, object_id: str, due_at: float, lease_ends_at: float) -> ClaimedEvent:
    """Claim the oldest event of an object. `due_at` is the end of the lease in epoch seconds."""
    claim_id = uuid.uuid4().hex
    connection.execute("UPDATE objects SET due_at = ?, holder = ? WHERE object = ?", (due_at, claim_id, object_id))
    (failures,) = connection.execute("SELECT failures FROM objects WHERE object = ?", (object_id,)).fetchone()
    row = connection.execute(
        "SELECT id, app, object, body, received_at FROM events WHERE object = ? ORDER BY sequence LIMIT 1", (object_id,)
    ).fetchone()
    return ClaimedEvent(UploadEvent(*row), failures, claim_id, lease_ends_at)


def _is_current(connection: sqlite3.Connection, claimed: ClaimedEvent) -> bool:
    row = connection.execute("SELECT holder FROM objects WHERE object = ?", (claimed.event.object_id,)).fetchone()
    return row is not None and bool(row[0] == claimed.claim_id)


def _end_claim(connection: sqlite3.Connection, object_id: str, due_at: float, failures: int) -> None:
    connection.execute(
        "UPDATE objects SET due_at = ?, failures = ?, holder = NULL WHERE object = ?", (due_at, failures, object_id)
    )
