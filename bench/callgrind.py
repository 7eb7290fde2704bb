"""Machine instructions of a running process, counted by valgrind's callgrind from outside.

Counting starts only when it is wanted: until then a program runs some ten times slower under it, then some fifty times.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.processes import CannotMeasure

_TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def missing() -> str | None:
    """What has to be installed first; None: nothing."""
    if shutil.which("valgrind") and shutil.which("callgrind_control"):
        return None
    return "valgrind is not installed; on Debian and Ubuntu: apt-get install valgrind"


def under_callgrind(directory: Path) -> list[str]:
    """What to put before a command; its counts go into this directory."""
    return ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={directory}/counts.%p"]


class Counter(contextlib.AbstractContextManager["Counter"]):
    def __init__(self, pid: int, directory: Path) -> None:
        self._pid = pid
        self._directory = directory
        self._control("--instr=on")

    def __exit__(self, *_: object) -> None:
        # Or the process would take its time to end.
        self._control("--instr=off")

    def count(self, run: Callable[[], None]) -> int:
        """How many instructions the process takes while this runs. Raises `CannotMeasure`."""
        with contextlib.suppress(FileNotFoundError):
            for file in self._directory.iterdir():
                file.unlink()
        self._control("--zero")
        run()
        self._control("--dump")
        totals = [
            int(found[1]) for file in self._directory.iterdir() if (found := _TOTAL.search(file.read_text("utf-8")))
        ]
        if len(totals) != 1:
            raise CannotMeasure(f"callgrind wrote {len(totals)} counts instead of one")
        return totals[0]

    def _control(self, what: str) -> None:
        command = ["callgrind_control", what, str(self._pid)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if "OK" not in result.stdout:
            raise CannotMeasure(f"{' '.join(command)}: {result.stdout}{result.stderr}")
