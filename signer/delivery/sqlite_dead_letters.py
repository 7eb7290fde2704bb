"""Dead letters in the SQLite file of a queue."""

from __future__ import annotations

import sqlite3
from typing import Any

from signer.delivery.queue import ClaimedEvent, DeadLetter, UploadEvent

_EVENT = "sequence, id, app, object, body, received_at"
_DEAD_LETTER = f"{_EVENT}, failures, reason, dead_lettered_at, is_late"


def count(connection: sqlite3.Connection) -> int:
    """Return the number of dead letters."""
    (number,) = connection.execute("SELECT count(*) FROM dead_letters").fetchone()
    return int(number)


def add(
    connection: sqlite3.Connection, claimed: ClaimedEvent, sequence: int, reason: str, *, now: float, max_count: int
) -> list[DeadLetter]:
    """Add the event of a claim, and return the dead letters that were dropped for it, or the event itself."""
    app_id = claimed.event.app_id
    dropped = []
    while not _has_room(connection, app_id, max_count):
        oldest = _select(connection, "app = ? ORDER BY sequence LIMIT 1", app_id)
        if not oldest:
            return [DeadLetter(claimed.event, claimed.failures + 1, reason, now, claimed.is_late, str(sequence))]
        drop(connection, oldest[0].event.id)
        dropped += oldest
    event = claimed.event
    row = (sequence, event.id, event.app_id, event.object_id, event.body, event.received_at)
    connection.execute(
        f"INSERT OR REPLACE INTO dead_letters ({_DEAD_LETTER}) VALUES (?{', ?' * 9})",  # noqa: S608
        (*row, claimed.failures + 1, reason, now, claimed.is_late),
    )
    return dropped


def find(connection: sqlite3.Connection, app_id: str | None, *, after: str, limit: int) -> list[DeadLetter]:
    """Return the dead letters of an app, or of all, that follow a position."""
    position = int(after or 0)
    if app_id is None:
        return _select(connection, "sequence > ? ORDER BY sequence LIMIT ?", position, limit)
    return _select(connection, "app = ? AND sequence > ? ORDER BY sequence LIMIT ?", app_id, position, limit)


def take(connection: sqlite3.Connection, event_id: str) -> DeadLetter | None:
    """Delete and return a dead letter."""
    found = _select(connection, "id = ?", event_id)
    drop(connection, event_id)
    return found[0] if found else None


def drop(connection: sqlite3.Connection, event_id: str) -> bool:
    """Delete a dead letter, and return whether it existed."""
    return connection.execute("DELETE FROM dead_letters WHERE id = ?", (event_id,)).rowcount > 0


def mark_late(connection: sqlite3.Connection, object_id: str, before_sequence: int) -> None:
    """Mark the older dead letters of an object, because a newer event was delivered."""
    connection.execute(
        "UPDATE dead_letters SET is_late = 1 WHERE object = ? AND sequence < ?", (object_id, before_sequence)
    )


def _has_room(connection: sqlite3.Connection, app_id: str, max_count: int) -> bool:
    free = max_count - count(connection)
    (own,) = connection.execute("SELECT count(*) FROM dead_letters WHERE app = ?", (app_id,)).fetchone()
    return bool(2 * own < free)


def _select(connection: sqlite3.Connection, condition: str, *parameters: Any) -> list[DeadLetter]:
    rows = connection.execute(f"SELECT {_DEAD_LETTER} FROM dead_letters WHERE {condition}", parameters)  # noqa: S608
    return [
        DeadLetter(UploadEvent(*event), failures, reason, dead_lettered_at, bool(is_late), str(sequence))
        for sequence, *event, failures, reason, dead_lettered_at, is_late in rows
    ]
