"""Whether the callback queue works, for the log, metrics and the status page."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger("oss_signer.callbacks")

_MIN_OUTAGE_SECONDS = 30.0
"""An outage in which some operations succeed, as on an almost full disk, counts and is logged as one."""


class QueueHealth:
    """The receiver and the deliverer record what happens to their operations."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.error: str | None = None
        """Why the queue is unavailable; None while it works."""
        self._monotonic = monotonic
        self._failed_at = 0.0

    def record_failure(self, reason: str) -> None:
        """Record that an operation failed; the first one of an outage is logged."""
        if self.error is None:
            log.error("callback queue unavailable", extra={"reason": reason})
        self.error = reason
        self._failed_at = self._monotonic()

    def record_success(self) -> None:
        """Record that an operation succeeded; it ends the outage once the last failure is half a minute ago."""
        if self.error is not None and self._monotonic() - self._failed_at >= _MIN_OUTAGE_SECONDS:
            self.error = None
            log.info("callback queue available again")
