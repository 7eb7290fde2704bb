"""The protocol of a queue of upload events, which a file or Redis implements.

Only the oldest event of each object can be claimed, so events stay in order however many processes deliver them. A
claim ends with `complete`, `retry_later` or `release`; when its process has died, it ends with its lease.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from signer.delivery.events import ClaimedEvent, UploadEvent

DEFAULT_MAX_EVENTS = 100_000


class QueueFull(Exception):
    """The queue has its maximum of events; nothing was added."""


class QueueUnavailable(Exception):
    """The disk or Redis failed or did not respond in time. Whether the operation happened is unknown."""


class CannotOpenQueue(Exception):
    """The queue cannot be opened; the text gives the reason and how to fix it."""


class EventQueue(Protocol):
    """Every method but `depth` and `close` raises `QueueUnavailable`."""

    async def put(self, event: UploadEvent) -> None:
        """Add an event. It is durable when this returns.

        Raises:
            QueueFull: The queue has its maximum of events.
        """
        ...

    async def claim(self, max_events: int, slots_by_app: Mapping[str, int], default_slots: int) -> list[ClaimedEvent]:
        """Claim events that are due.

        Args:
            max_events: The maximum over all apps.
            slots_by_app: The maximum for each app id.
            default_slots: The maximum for each app that `slots_by_app` does not name.
        """
        ...

    async def complete(self, claimed: ClaimedEvent) -> None:
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
