"""Claims of events in the SQLite file of a queue."""

from __future__ import annotations

import sqlite3
import uuid

from signer.delivery.queue import ClaimedEvent, UploadEvent
from signer.delivery.rejections import Rejections
from signer.delivery.sqlite_file import CorruptFile
from signer.delivery.sqlite_salvage import is_sound

_FIRST_EVENT = """
SELECT id, app, object, body, received_at, failures, retried_at, is_late,
    rejections, first_rejected_at, last_rejected_at
FROM events LEFT JOIN attempts USING (sequence)
WHERE object = ? ORDER BY sequence LIMIT 1
"""

_COUNT_FAILURE = """
INSERT INTO attempts (sequence, failures) VALUES (?, 1)
ON CONFLICT (sequence) DO UPDATE SET failures = failures + 1
"""
_SET_REJECTIONS = """
UPDATE attempts SET rejections = ?, first_rejected_at = ?, last_rejected_at = ? WHERE sequence = ?
"""


def claim_object(connection: sqlite3.Connection, object_id: str, lease_ends_at: float) -> ClaimedEvent:
    """Claim the oldest event of an object."""
    claim_id = uuid.uuid4().hex
    connection.execute(
        "UPDATE objects SET due_at = ?, holder = ? WHERE object = ?", (lease_ends_at, claim_id, object_id)
    )
    row = connection.execute(_FIRST_EVENT, (object_id,)).fetchone()
    if row is None or not is_sound(event := UploadEvent(*row[:5])):
        raise CorruptFile("an event is missing or damaged")
    failures, retried_at, is_late, *rejections = row[5:]
    return ClaimedEvent(
        event,
        failures or 0,
        claim_id,
        lease_ends_at,
        rejections=Rejections(*rejections) if rejections[0] else None,
        retried_at=retried_at,
        is_late=bool(is_late),
    )


def claimed_sequence(connection: sqlite3.Connection, claimed: ClaimedEvent) -> int | None:
    """Return the sequence of a claimed event; None if the claim has ended, and another process may have the event."""
    row = connection.execute(
        "SELECT sequence FROM events JOIN objects USING (object) WHERE object = ? AND holder = ? AND id = ? "
        "ORDER BY sequence LIMIT 1",
        (claimed.event.object_id, claimed.claim_id, claimed.event.id),
    ).fetchone()
    return None if row is None else int(row[0])


def count_failure(connection: sqlite3.Connection, sequence: int, rejections: Rejections | None) -> None:
    """Count a failed attempt, and store the rejections unless they are None."""
    connection.execute(_COUNT_FAILURE, (sequence,))
    if rejections is not None:
        values = (rejections.count, rejections.first_at, rejections.last_at, sequence)
        connection.execute(_SET_REJECTIONS, values)


def return_event(
    connection: sqlite3.Connection, object_id: str, sequence: int, *, now: float, delay_seconds: float
) -> None:
    """End the claim of an event and make it due later, or now an older one of its object that was retried meanwhile."""
    (oldest,) = connection.execute("SELECT min(sequence) FROM events WHERE object = ?", (object_id,)).fetchone()
    end_claim(connection, object_id, now + delay_seconds if oldest == sequence else now)


def end_claim(connection: sqlite3.Connection, object_id: str, due_at: float) -> None:
    """Make the oldest event of an object due at a time of the monotonic clock."""
    connection.execute("UPDATE objects SET due_at = ?, holder = NULL WHERE object = ?", (due_at, object_id))
