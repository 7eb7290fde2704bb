"""A wall clock that a test sets while a process runs, by Debian's `faketime`; the monotonic clock is not changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.harness.files import replace
from tests.harness.processes import run
from tests.harness.programs import require_program


@dataclass(frozen=True, slots=True)
class SettableClock:
    """The clock of the processes that have its environment."""

    file: Path
    environ: dict[str, str]

    def set_offset(self, *, minutes: int) -> None:
        """Set the clock to the machine's time and these minutes; processes see it within a second."""
        replace(self.file, f"{minutes:+d}m\n")


async def settable_clock(directory: Path) -> SettableClock:
    """Return a clock that shows the machine's time at first."""
    printed = await run(require_program("faketime"), "-m", "-f", "+0", "printenv", "LD_PRELOAD")
    clock = SettableClock(
        directory / "clock",
        {
            "LD_PRELOAD": printed.out.strip(),
            "FAKETIME_TIMESTAMP_FILE": str(directory / "clock"),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            # Files keep their real times, so that Python does not compile every file again.
            "NO_FAKE_STAT": "1",
        },
    )
    clock.set_offset(minutes=0)
    return clock
