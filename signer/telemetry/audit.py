"""The audit log: one JSON object per line for each signature and each callback, in a file or on stdout.

After logrotate has renamed the file, the next lines go to a new one, so that a rotation loses no line.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import orjson

from signer.telemetry.line_files import STDOUT_DESCRIPTOR, LineFile, LineStream
from signer.telemetry.line_writer import LineWriter, Write
from signer.telemetry.logs import escape_unprintable

STDOUT = "stdout"


class AuditLog:
    """Appends events to the audit log; create, use and close it in one event loop."""

    def __init__(self, target: str) -> None:
        """Create an audit log at a path, or on `stdout`; the file is opened with the first line."""
        self._file = None if target == STDOUT else LineFile(Path(target))
        self.lines = LineWriter("audit", _stdout_write() if self._file is None else self._file.write)
        """What writes the events."""

    def add(self, event: str, fields: Mapping[str, object]) -> None:
        """Add an event with the current time; a thread writes it shortly after."""
        line = {"time": datetime.now(UTC), "event": event, **fields}
        try:
            text = orjson.dumps(line, default=str).decode()
        except TypeError:
            # A lone surrogate has no UTF-8 bytes. A client made it up, and the log must show it.
            text = json.dumps(line, default=str)
        self.lines.gather(escape_unprintable(text).encode() + b"\n")

    async def close(self) -> None:
        """Write the remaining lines and close the file; lines that cannot be written in time are lost."""
        self.lines.flush()
        # In a thread of its own: all threads of the event loop may hang.
        with ThreadPoolExecutor(1) as thread:
            has_ended = await asyncio.get_running_loop().run_in_executor(thread, self.lines.close)
        if self._file is not None and has_ended:
            self._file.close()


def _stdout_write() -> Write:
    if sys.__stdout__ is not None:
        return LineStream(STDOUT_DESCRIPTOR).write

    def refuse(_lines: memoryview) -> int:
        raise OSError("stdout is closed; open it, or set audit to a path")

    return refuse
