"""Upload events, and the protocol of a queue of them, which a file or Redis implements.

Only the oldest event of each object can be claimed, so events stay in order however many processes deliver them. A
claim ends with `remove`, `retry_later`, `release` or `add_dead_letter`; when its process has died, it ends with its
lease.

A dead letter is an event that no longer waits for delivery: the app's server keeps rejecting it, or it is too old. An
operator retries or drops it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from signer.delivery.rejections import Rejections

DEFAULT_MAX_EVENTS = 100_000
MAX_RETRY_DELAY_SECONDS = 360.0
"""An event that failed waits no longer than this for its next attempt."""
_EVENTS_PER_DEAD_LETTER = 10


@dataclass(frozen=True, slots=True)
class UploadEvent:
    """One upload, as OSS reported it."""

    id: str
    app_id: str
    object_id: str
    """App id, bucket and key. Events with the same object id are delivered in order."""
    body: bytes = field(repr=False)
    """The request body of each delivery attempt."""
    received_at: float
    """Epoch seconds."""


@dataclass(frozen=True, slots=True)
class ClaimedEvent:
    """The oldest event of an object, leased to one process. No process gets another event of this object meanwhile."""

    event: UploadEvent
    failures: int
    """Failed attempts so far."""
    claim_id: str
    """Identifies this claim in the queue."""
    lease_ends_at: float
    """Seconds of the monotonic clock; from then on another process can claim the event."""
    rejections: Rejections | None = None
    """Those of the failed attempts that count against the event."""
    retried_at: float | None = None
    """Epoch seconds; set if the event was a dead letter, whose earlier attempts do not count any more."""
    is_late: bool = False
    """Whether a newer event of the object was delivered before this one."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that waits for an operator."""

    event: UploadEvent
    failures: int
    reason: str
    """Why the last attempt failed."""
    dead_lettered_at: float
    """Epoch seconds."""
    is_late: bool
    """Whether a newer event of the object was delivered meanwhile."""
    position: str
    """Its position in the list of all dead letters, for `after`."""


class QueueFull(Exception):
    """The app has its share of the queue; nothing was added."""


class QueueUnavailable(Exception):
    """The disk or Redis failed or did not respond in time. Whether the operation happened is unknown."""


class CannotOpenQueue(Exception):
    """The address of the queue is invalid; the text gives the reason and how to fix it."""


def max_dead_letters(max_events: int) -> int:
    """Return how many dead letters a queue for this many events keeps."""
    return max(1, max_events // _EVENTS_PER_DEAD_LETTER)


class EventQueue(Protocol):
    """Every coroutine but `close` raises `QueueUnavailable`."""

    async def put(self, event: UploadEvent, *, remember_until: float) -> bool:
        """Add an event, durably, and return True; or return False if its id was added before and is remembered.

        The id is remembered until `remember_until`, in epoch seconds; of one app, at most the last `max_events` ids.

        Raises `QueueFull` if the app has its share, which is half as many events as the queue has free places. So one
        app can have a third of the queue, and never fills it for others.
        """
        ...

    async def claim(self, max_events: int, slots_by_app: Mapping[str, int], default_slots: int) -> list[ClaimedEvent]:
        """Claim at most `max_events` events that are due, and of each app at most its slots."""
        ...

    async def remove(self, claimed: ClaimedEvent) -> None:
        """Remove the event and make the next one of its object due. Does nothing after the end of the lease."""
        ...

    async def retry_later(
        self, claimed: ClaimedEvent, delay_seconds: float, *, rejections: Rejections | None = None
    ) -> None:
        """Count a failed attempt and make the event due after the delay, at most `MAX_RETRY_DELAY_SECONDS`.

        `rejections` replace those of the event; None keeps them.
        """
        ...

    async def release(self, claimed: ClaimedEvent, delay_seconds: float = 0.0) -> None:
        """Make the event due after the delay, without counting an attempt."""
        ...

    async def add_dead_letter(self, claimed: ClaimedEvent, reason: str) -> list[DeadLetter]:
        """Make the event a dead letter, and the next one of its object due. Return the dead letters that were dropped.

        An app can have half as many dead letters as there are free places for them. Beyond that, its oldest is dropped.
        """
        ...

    async def dead_letters(self, app_id: str | None, *, after: str, limit: int) -> list[DeadLetter]:
        """Return dead letters of an app or of all apps, oldest event first, from a position on; "" is the beginning."""
        ...

    async def retry_dead_letter(self, event_id: str) -> bool:
        """Queue a dead letter again, before the newer events of its object. Return False if it does not exist."""
        ...

    async def drop_dead_letter(self, event_id: str) -> bool:
        """Delete a dead letter. Return False if it does not exist."""
        ...

    def depth(self) -> int:
        """Return how many events waited at the last operation; dead letters do not count."""
        ...

    def dead_letter_count(self) -> int:
        """Return how many dead letters there were at the last operation."""
        ...

    def corrupt_files(self) -> tuple[str, ...]:
        """Return the paths of former files of this queue that were corrupt and still exist."""
        ...

    async def close(self) -> None:
        """Close the file or the connections."""
        ...
