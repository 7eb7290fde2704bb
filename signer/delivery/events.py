"""One upload to tell an app's own server of, and who is telling it right now."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class UploadEvent:
    id: str
    app: str
    object: str
    """App, bucket and key: what the order holds for."""
    body: bytes = field(repr=False)
    """What is sent, the same at each attempt."""
    received_at: float
    """Epoch seconds."""


@dataclass(frozen=True, slots=True)
class ClaimedEvent:
    """The first event of an object, held by one worker for a while; no other gets an event of this object meanwhile."""

    event: UploadEvent
    failures: int
    """How often it was tried in vain."""
    holder: str
    """Whose it is, as the queue knows it."""
    until: float
    """By the monotonic clock: when another worker may get it."""
