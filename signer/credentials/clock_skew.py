"""How far this machine's clock is from those of STS and the metadata service, by the Date of their responses.

OSS rejects forms whose x-oss-date is more than 15 minutes from its own clock, so a wrong clock stops all uploads.

See: https://help.aliyun.com/zh/oss/developer-reference/signature-version-4-recommend
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

log = logging.getLogger("oss_signer.clock")

WARNING_SKEW = timedelta(minutes=5)
MAX_SKEW = timedelta(minutes=14)
"""One minute less than what OSS accepts."""
_FIX = (
    "OSS rejects forms that are 15 minutes off; synchronize the clock: systemctl enable --now chronyd, chronyc makestep"
)
_DATE_RESOLUTION_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ServerDate:
    """The Date header of one response, and the times of the request and the response by the monotonic clock."""

    server: str
    date: datetime
    requested_at: float
    responded_at: float


class ClockState(StrEnum):
    """Whether OSS accepts what is signed with this clock."""

    GOOD = "good"
    OFF = "off"
    """It is off by more than is usual, but OSS still accepts it."""
    WRONG = "wrong"


class ClockSkew:
    """The skew of this machine's clock, by the responses of several servers."""

    def __init__(
        self, *, wall_clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._ranges: dict[str, tuple[float, float]] = {}
        """By server, the range of its wall clock minus our monotonic clock."""
        self._logged: dict[str, ClockState] = {}

    def observe(self, response: ServerDate) -> None:
        """Update the skew with a response, and log a change of its state."""
        date = response.date.timestamp()
        # The server set the Date between request and response, and cut it to seconds.
        latest = date + _DATE_RESOLUTION_SECONDS - response.requested_at
        self._ranges[response.server] = (date - response.responded_at, latest)
        seconds = self._seconds(response.server)
        state = clock_state(seconds)
        previous, self._logged[response.server] = self._logged.get(response.server, ClockState.GOOD), state
        if state is previous:
            return
        fields: dict[str, object] = {"server": response.server, "clock_skew_seconds": round(seconds, 1)}
        if state is ClockState.GOOD:
            log.info("clock skew resolved", extra=fields)
        else:
            level = logging.ERROR if state is ClockState.WRONG else logging.WARNING
            log.log(level, "clock skew detected", extra=fields | {"fix": _FIX})

    def seconds(self) -> float:
        """Return our clock minus that of the server that differs most, or 0 before the first response.

        It is measured against the monotonic clock, so it follows a correction at once, without another response.
        """
        return max((self._seconds(server) for server in self._ranges), key=abs, default=0.0)

    def state(self) -> ClockState:
        """Return the state of the clock now."""
        return clock_state(self.seconds())

    def _seconds(self, server: str) -> float:
        earliest, latest = self._ranges[server]
        offset = self._wall_clock() - self._monotonic()
        if offset < earliest:
            return offset - earliest
        return max(0.0, offset - latest)


def clock_state(seconds: float) -> ClockState:
    """Return the state of a clock with this skew."""
    if abs(seconds) >= MAX_SKEW.total_seconds():
        return ClockState.WRONG
    return ClockState.OFF if abs(seconds) >= WARNING_SKEW.total_seconds() else ClockState.GOOD
