"""What a queue of events offers, whether it is a file or a Redis.

Of each object only the first event can be claimed, so that the order holds however many workers there are. A claim
ends with `done`, `later` or, when its worker has died, with its time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from signer.delivery.events import ClaimedEvent, UploadEvent

DEFAULT_MAX_EVENTS = 100_000


class QueueFull(Exception):
    """As many events wait as may; nothing was put."""


class QueueUnavailable(Exception):
    """The disk or Redis does not do it, or not in time; whether it was done is not known."""


class CannotOpenQueue(Exception):
    """The text says why and how to mend it."""


class EventQueue(Protocol):
    async def put(self, event: UploadEvent) -> None:
        """When this returns the event survives us. Raises `QueueFull`, `QueueUnavailable`."""
        ...

    async def take(self, most: int, room: Mapping[str, int], room_for_others: int) -> list[ClaimedEvent]:
        """Claims due events, of each app as many as it has room for. Raises `QueueUnavailable`.

        `room` is by app; apps that it does not name have `room_for_others`.
        """
        ...

    async def done(self, claim: ClaimedEvent) -> None:
        """Forgets the event; the object's next one is due. A claim that has ended changes nothing."""
        ...

    async def later(self, claim: ClaimedEvent, seconds: float) -> None:
        """Lets it be claimed again after so long, as tried in vain once more."""
        ...

    async def release(self, claim: ClaimedEvent) -> None:
        """Lets it be claimed again now, as not tried."""
        ...

    def depth(self) -> int:
        """How many events waited when it was last looked at."""
        ...

    async def close(self) -> None: ...
