"""Logs of the test's own process in a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from signer.telemetry.line_writer import LineWriter
from signer.telemetry.process_log import process_log


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file that this process logs to."""

    path: Path
    lines: LineWriter

    def read(self) -> str:
        """Return what was logged; later log calls have no effect."""
        self.lines.flush()
        assert self.lines.close()
        return self.path.read_text(encoding="utf-8")


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[LogFile]:
    """Log to a file during the block, as the command `serve` does to stderr."""
    with path.open("ab") as file, process_log(descriptor=file.fileno()) as lines:
        yield LogFile(path, lines)
