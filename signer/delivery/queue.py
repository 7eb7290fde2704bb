"""Upload events, and the protocol of a queue of them, which a file or Redis implements.

Only the oldest event of each object can be claimed, so events stay in order however many processes deliver them. A
claim ends with `remove`, `retry_later` or `release`; when its process has died, it ends with its lease.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

DEFAULT_MAX_EVENTS = 100_000


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


class QueueFull(Exception):
    """The app has its share of the queue; nothing was added."""


class QueueUnavailable(Exception):
    """The disk or Redis failed or did not respond in time. Whether the operation happened is unknown."""


class CannotOpenQueue(Exception):
    """The queue cannot be opened; the text gives the reason and how to fix it."""


class EventQueue(Protocol):
    """Every method but `depth` and `close` raises `QueueUnavailable`."""

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

    async def retry_later(self, claimed: ClaimedEvent, delay_seconds: float) -> None:
        """Count a failed attempt and make the event due after the delay."""
        ...

    async def release(self, claimed: ClaimedEvent) -> None:
        """Make the event due now, without counting an attempt."""
        ...

    def depth(self) -> int:
        """Return how many events there were at the last operation."""
        ...

    async def close(self) -> None:
        """Close the file or the connections."""
        ...
