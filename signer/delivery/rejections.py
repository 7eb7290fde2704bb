"""When an event becomes a dead letter because the app's server keeps rejecting it."""

from __future__ import annotations

from dataclasses import dataclass

MAX_REJECTIONS = 20
"""With the delays between attempts, they take about an hour."""
MAX_REJECTED_SECONDS = 86400.0
_MAX_GAP_SECONDS = 6 * 3600.0
"""After a longer time the count starts again: the server accepted nothing meanwhile, so it may be misconfigured."""


@dataclass(frozen=True, slots=True)
class Rejections:
    """The failed attempts that count against an event. Times are in epoch seconds."""

    count: int
    first_at: float
    last_at: float

    @property
    def are_final(self) -> bool:
        """Whether the event is not attempted again."""
        return self.count >= MAX_REJECTIONS or self.last_at - self.first_at > MAX_REJECTED_SECONDS


def add_rejection(earlier: Rejections | None, now: float) -> Rejections:
    """Return the rejections of an event with another one."""
    if earlier is None or now - earlier.last_at > _MAX_GAP_SECONDS:
        return Rejections(1, now, now)
    return Rejections(earlier.count + 1, earlier.first_at, now)
