"""Machine instructions of a running process, counted by valgrind's callgrind from outside."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.errors import CannotMeasure

_TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def missing_program() -> str | None:
    """Return what has to be installed before anything can be counted, None if nothing."""
    if shutil.which("valgrind") and shutil.which("callgrind_control"):
        return None
    return "valgrind is not installed; on Debian and Ubuntu: apt-get install valgrind"


def under_callgrind(directory: Path) -> list[str]:
    """Return the beginning of a command that runs under callgrind and writes its counts into this directory.

    Counting is off until a `Counter` is entered: the program runs about 10 times slower before, about 50 times after.
    """
    return ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={directory}/counts.%p"]


class Counter(contextlib.AbstractContextManager["Counter"]):
    """Counts the instructions of one process that runs under callgrind."""

    def __init__(self, pid: int, directory: Path) -> None:
        self._pid = pid
        self._directory = directory

    def __enter__(self) -> Counter:
        self._control("--instr=on")
        return self

    def __exit__(self, *_: object) -> None:
        # Counting also slows the process down while it shuts down.
        self._control("--instr=off")

    def count(self, run: Callable[[], None]) -> int:
        """Return the number of instructions that the process executes while `run` runs.

        Raises:
            CannotMeasure: callgrind does not respond.
        """
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

    def _control(self, option: str) -> None:
        command = ["callgrind_control", option, str(self._pid)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if "OK" not in result.stdout:
            raise CannotMeasure(f"{' '.join(command)}: {result.stdout}{result.stderr}")
