"""The state of an app's own server: its failures, and which failures count against an event instead."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from signer.circuit_breaker import CircuitBreaker

ACCEPTED_RECENTLY_SECONDS = 300.0
"""A server that accepted an event in this time works, so a rejected event is itself at fault."""
MAX_IN_FLIGHT_PER_SERVER = 16
RETRY_JITTER = (0.8, 1.2)
_FAILURE_THRESHOLD = 5
_MAX_TRIAL_DELAY_SECONDS = 30.0
_MAX_TRIAL_DELAY_AFTER_REJECTION_SECONDS, _TRIALS_AFTER_REJECTION = 1.0, 4
"""A server that rejects an event responds, and the next events may show that it works."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt to deliver an event that the server did not accept."""

    reason: str
    is_rejection: bool = False
    """Whether the server rejected the event: it responded 4xx, except for 429."""


class AppServer:
    """A server that keeps failing gets one event at a time as a trial, or a few events if it rejected the last one."""

    def __init__(
        self, url: str, *, first_retry_seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Create the state of a server that has not been called yet."""
        self.url = url
        self.in_flight = 0
        self._monotonic = monotonic
        self._accepted_at = float("-inf")
        self._trials = 1
        self._breaker = CircuitBreaker(
            failure_threshold=_FAILURE_THRESHOLD,
            first_delay_seconds=first_retry_seconds,
            max_delay_seconds=_MAX_TRIAL_DELAY_SECONDS,
            jitter=RETRY_JITTER,
            monotonic=monotonic,
        )

    @property
    def is_failing(self) -> bool:
        """Whether the last attempts failed."""
        return self._breaker.failures > 0

    @property
    def has_accepted_recently(self) -> bool:
        """Whether the server accepted an event in the last five minutes."""
        return self._monotonic() - self._accepted_at <= ACCEPTED_RECENTLY_SECONDS

    @property
    def is_as_new(self) -> bool:
        """Whether a new object would be in the same state."""
        return not (self.in_flight or self.is_failing or self.has_accepted_recently)

    def free_slots(self) -> int:
        """Return how many more events may be sent to the server now."""
        if not self._breaker.is_open:
            return MAX_IN_FLIGHT_PER_SERVER - self.in_flight
        return 0 if self._breaker.is_waiting or self.in_flight else self._trials

    def record_acceptance(self) -> bool:
        """Record that the server accepted an event, and return whether it kept failing before."""
        was_open = self._breaker.is_open
        self._accepted_at = self._monotonic()
        self._breaker.record_success()
        return was_open

    def record_failure(self, failure: FailedAttempt) -> bool:
        """Record a failed attempt, and return whether it counts against the event; otherwise, against the server."""
        if not failure.is_rejection:
            self._trials = 1
            self._breaker.record_failure()
        elif self.has_accepted_recently:
            return True
        else:
            self._trials = _TRIALS_AFTER_REJECTION
            self._breaker.record_failure(max_delay_seconds=_MAX_TRIAL_DELAY_AFTER_REJECTION_SECONDS)
        return False
