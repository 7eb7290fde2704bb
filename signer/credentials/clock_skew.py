"""How far our clock is from those of STS and the metadata service, by the Date of their answers.

OSS refuses forms whose x-oss-date is more than 15 minutes from its own clock (help page
`signature-version-4-recommend`), so a clock that runs away stops all uploads at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from signer.credentials.server_dates import DatedAnswer

log = logging.getLogger("oss_signer.clock")

WARN = timedelta(minutes=5)
FAIL = timedelta(minutes=14)

_MEND = "OSS refuses forms that are 15 minutes off; synchronise it: systemctl enable --now chronyd, chronyc makestep"
_DATE_GRAIN_SECONDS = 1.0


class ClockState(StrEnum):
    GOOD = "good"
    OFF = "off"
    WRONG = "wrong"


class ClockSkew:
    def __init__(self, *, now: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._monotonic = monotonic
        self._offsets: dict[str, tuple[float, float]] = {}
        self._told: dict[str, ClockState] = {}

    def observe(self, answer: DatedAnswer) -> None:
        """Takes a server's Date into account, and logs when our clock went wrong or right again."""
        date = answer.date.timestamp()
        # The server wrote its Date, cut to seconds, somewhere between our question and its answer.
        self._offsets[answer.server] = (date - answer.answered_at, date + _DATE_GRAIN_SECONDS - answer.asked_at)
        seconds = self._seconds(answer.server)
        verdict = clock_state(seconds)
        before, self._told[answer.server] = self._told.get(answer.server, ClockState.GOOD), verdict
        if verdict is before:
            return
        told = {"server": answer.server, "clock_skew_seconds": round(seconds, 1)}
        if verdict is ClockState.GOOD:
            log.info("our clock agrees with the server's again", extra=told)
        else:
            level = logging.ERROR if verdict is ClockState.WRONG else logging.WARNING
            log.log(level, f"our clock is {abs(seconds):.0f} s {_way(seconds)}; {_MEND}", extra=told)

    def seconds(self) -> float:
        """Our clock minus theirs, that of the server we are furthest from; 0 while none has answered.

        Measured against the monotonic clock, so that a clock that is set right is right here at once.
        """
        return max((self._seconds(server) for server in self._offsets), key=abs, default=0.0)

    def state(self) -> ClockState:
        return clock_state(self.seconds())

    def _seconds(self, server: str) -> float:
        earliest, latest = self._offsets[server]
        ours = self._now().timestamp() - self._monotonic()
        if ours < earliest:
            return ours - earliest
        return max(0.0, ours - latest)


def clock_state(seconds: float) -> ClockState:
    """On a clock that is so far off."""
    if abs(seconds) >= FAIL.total_seconds():
        return ClockState.WRONG
    return ClockState.OFF if abs(seconds) >= WARN.total_seconds() else ClockState.GOOD


def _way(seconds: float) -> str:
    return "fast" if seconds > 0 else "slow"
