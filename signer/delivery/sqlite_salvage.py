"""Copy the events that can be read from a corrupt queue file into a new one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from signer.delivery.queue import UploadEvent

_MAX_UNREADABLE = 10_000
"""In a row. One damaged page makes at most that many rows unreadable."""
_EVENT = "sequence, id, app, object, body, received_at"
_DEAD_LETTER = f"{_EVENT}, failures, reason, dead_lettered_at, is_late"


def salvage_events(corrupt: sqlite3.Connection, fresh: sqlite3.Connection, *, due_at: float) -> int:
    """Copy events and dead letters, and return how many; the events become due at a time of the monotonic clock."""
    fresh.execute("BEGIN IMMEDIATE")
    salvaged = 0
    for row in _readable_rows(corrupt, "events", _EVENT):
        salvaged += _insert(fresh, "events", _EVENT, row)
        _, _, app_id, object_id, *_ = row
        fresh.execute(
            "INSERT OR IGNORE INTO objects (object, app, due_at) VALUES (?, ?, ?)", (object_id, app_id, due_at)
        )
    for row in _readable_rows(corrupt, "dead_letters", _DEAD_LETTER):
        salvaged += _insert(fresh, "dead_letters", _DEAD_LETTER, row)
    fresh.execute("COMMIT")
    return salvaged


def is_sound(event: UploadEvent) -> bool:
    """Return whether the values of an event fit together, which those of a damaged page do not."""
    try:
        document = json.loads(event.body)
        return (
            isinstance(event.received_at, float)
            and event.object_id.startswith(f"{event.app_id}/")
            and document.get("id", event.id) == event.id
            and document.get("app", event.app_id) == event.app_id
        )
    except (ValueError, TypeError, AttributeError):
        return False


def _insert(fresh: sqlite3.Connection, table: str, columns: str, row: tuple[Any, ...]) -> int:
    values = ", ".join("?" * len(row))
    return fresh.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({values})", row).rowcount  # noqa: S608


def _readable_rows(connection: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield the sound rows of a table that are not on damaged pages, some of them twice."""
    for comparison, order, first, step in ((">=", "ASC", 0, 1), ("<=", "DESC", 2**62, -1)):
        query = f"SELECT {columns} FROM {table} WHERE sequence {comparison} ? ORDER BY sequence {order} LIMIT 1"  # noqa: S608
        sequence, unreadable = first, 0
        while unreadable < _MAX_UNREADABLE:
            try:
                row = connection.execute(query, (sequence,)).fetchone()
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_CORRUPT:
                    return  # The table, or the file, cannot be read at all.
                sequence, unreadable = sequence + step, unreadable + 1
                continue
            if row is None:
                return
            sequence, unreadable = row[0] + step, 0
            if is_sound(UploadEvent(*row[1:6])):
                yield row
