"""An upload that an app's own server must learn of, and the claim of a process that delivers it."""

from __future__ import annotations

from dataclasses import dataclass, field


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
