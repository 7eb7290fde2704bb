"""How long to wait after failures, and when to stop letting requests wait for the next attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FIRST_SECONDS = 0.5
LAST_SECONDS = 30.0
URGENT_LAST_SECONDS = 4.0
"""The longest wait while nothing usable is held, so that a source that comes back is found within 5 s."""
OPEN_AFTER_FAILURES = 3


@dataclass(slots=True)
class Backoff:
    """Counts failures in a row; after three the circuit is open until an attempt succeeds."""

    uniform: Callable[[float, float], float]
    failures: int = 0

    @property
    def open(self) -> bool:
        return self.failures >= OPEN_AFTER_FAILURES

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self, *, urgent: bool) -> float:
        """The seconds until the next attempt: doubling, with jitter."""
        self.failures += 1
        last = URGENT_LAST_SECONDS if urgent else LAST_SECONDS
        return min(last, FIRST_SECONDS * 2.0 ** min(self.failures - 1, 10)) * self.uniform(0.5, 1)
