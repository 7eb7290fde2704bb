"""A clock that runs faster than the machine's, for the local cloud and the signer, by Debian's `faketime`.

libfaketime is loaded into each process. It speeds up the wall clock, the monotonic clock, sleeps, and the timeouts of
epoll, so uvloop and asyncio follow. It does not speed up sem_clockwait, so a `threading` wait with a timeout never ends
early. All processes of one clock share one start in shared memory, so their clocks are equal at any moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.harness.processes import launch
from tests.harness.programs import require_program

_ENVIRON = {
    # Each process uses the shared start instead of its own.
    "FAKETIME_DONT_RESET": "1",
    # Files keep their real times, so that Python does not compile every file again.
    "NO_FAKE_STAT": "1",
}
_HOLDER = 'echo "$LD_PRELOAD"; echo "$FAKETIME"; echo "$FAKETIME_SHARED"; date +%s.%N; exec cat'
"""Prints what other processes need to share its clock, and its time; then holds the shared memory until stdin ends."""


@dataclass(frozen=True, slots=True)
class FastClock:
    """A clock that has run `speed` times as fast as the machine's since its start."""

    speed: int
    environ: dict[str, str]
    """Added to the environment of a process that uses this clock."""
    start: float

    def now(self) -> datetime:
        """Return its time."""
        return datetime.fromtimestamp(self.start + (time.time() - self.start) * self.speed, UTC)

    async def sleep(self, seconds: float) -> None:
        """Sleep for seconds of this clock."""
        await asyncio.sleep(seconds / self.speed)


@contextlib.asynccontextmanager
async def fast_clock(speed: int) -> AsyncIterator[FastClock]:
    """Run a clock until the end of the block."""
    command = (require_program("faketime"), "-m", "-f", f"+0 x{speed}", "sh", "-c", _HOLDER)
    async with launch(*command, environ=_ENVIRON) as holder:
        library, setting, shared, its_time = [await holder.read_line() for _ in range(4)]
        # its_time = start + (time.time() - start) * speed
        start = (speed * time.time() - float(its_time)) / (speed - 1)
        environ = {**_ENVIRON, "LD_PRELOAD": library, "FAKETIME": setting, "FAKETIME_SHARED": shared}
        yield FastClock(speed, environ, start)
        # faketime waits for its child, which ends with its stdin; a signal would end only faketime.
        holder.close_input()
        await holder.wait()
