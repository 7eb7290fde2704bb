"""Runs a command on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from tests.harness.processes import ROOT
from tests.harness.waiting import DEADLINE_SECONDS


def run_on_terminal(*arguments: str, **environ: str) -> tuple[int, bytes]:
    """Run `python run.py ARGUMENTS` with stderr on a terminal, and return the status and what it wrote there."""
    terminal, its_end = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    with subprocess.Popen(
        [sys.executable, "run.py", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=its_end,
        env={**inherited, "TERM": "xterm", **environ},
    ) as process:
        os.close(its_end)
        output = b""
        try:
            while chunk := os.read(terminal, 4096):
                output += chunk
        except OSError:  # Linux reports the end of a terminal as an error
            pass
        os.close(terminal)
        return process.wait(DEADLINE_SECONDS), output
