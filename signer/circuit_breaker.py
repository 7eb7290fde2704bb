"""Stop calling a service that keeps failing, and try it again after a growing delay."""

import random
import time
from collections.abc import Callable

_MAX_DOUBLINGS = 32
_RANDOM = random.Random()  # noqa: S311


def backoff_seconds(
    failures: int, *, first_seconds: float, max_seconds: float, jitter: tuple[float, float] = (1.0, 1.0)
) -> float:
    """Return the delay before the next attempt: it doubles with each failure in a row up to a maximum.

    It is multiplied by a random number from `jitter`, so that clients that failed together do not retry together.
    """
    delay_seconds = first_seconds * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
    return min(max_seconds, delay_seconds) * _RANDOM.uniform(*jitter)


class CircuitBreaker:
    """Counts failures in a row. It opens at the threshold, then allows one trial call per delay until one succeeds.

    See: https://learn.microsoft.com/en-us/azure/architecture/patterns/circuit-breaker
    """

    def __init__(
        self,
        *,
        failure_threshold: int,
        first_delay_seconds: float,
        max_delay_seconds: float,
        jitter: tuple[float, float] = (1.0, 1.0),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.failures = 0
        """Failures in a row."""
        self._failure_threshold = failure_threshold
        self._first_delay_seconds = first_delay_seconds
        self._max_delay_seconds = max_delay_seconds
        self._jitter = jitter
        self._monotonic = monotonic
        self._delay_seconds = 0.0
        self._waits_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the failures in a row have reached the threshold."""
        return self.failures >= self._failure_threshold

    @property
    def is_waiting(self) -> bool:
        """Whether the circuit is open and its delay has not passed."""
        return self.seconds_until_call() > 0

    def seconds_until_call(self) -> float:
        """Return the seconds until the next call is allowed, 0.0 if it is allowed now."""
        return max(0.0, self._waits_until - self._monotonic()) if self.is_open else 0.0

    def allow_call(self) -> bool:
        """Return whether to call the service now; an open circuit allows one trial call per delay."""
        if not self.is_open:
            return True
        now = self._monotonic()
        if now < self._waits_until:
            return False
        self._waits_until = now + self._delay_seconds
        return True

    def record_success(self) -> None:
        """Close the circuit."""
        self.failures = 0

    def record_failure(self, *, max_delay_seconds: float | None = None) -> float:
        """Count a failure and return the seconds until the next attempt; a maximum given here applies to it alone."""
        self.failures += 1
        self._delay_seconds = backoff_seconds(
            self.failures,
            first_seconds=self._first_delay_seconds,
            max_seconds=self._max_delay_seconds if max_delay_seconds is None else max_delay_seconds,
            jitter=self._jitter,
        )
        self._waits_until = self._monotonic() + self._delay_seconds
        return self._delay_seconds
