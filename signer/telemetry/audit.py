"""The audit log: one JSON object per line for each signature and each callback, in a file or on stdout.

After logrotate has renamed the file, the next lines go to a new one, so that a rotation loses no line.
"""

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson

from signer.telemetry.line_writer import LineWriter
from signer.telemetry.logs import escape_unprintable

STDOUT = "stdout"

_MODE = 0o640


class AuditLog:
    """Appends events to the audit log; create, use and close it in one event loop."""

    def __init__(self, target: str) -> None:
        """Create an audit log at a path, or on `stdout`; the file is opened with the first line."""
        self._path = None if target == STDOUT else Path(target)
        self._file: int | None = None
        self._lines = LineWriter(self._write)

    def add(self, event: str, fields: Mapping[str, object]) -> None:
        """Add an event with the current time; a thread writes it shortly after."""
        line = {"time": datetime.now(UTC), "event": event, **fields}
        try:
            text = orjson.dumps(line, default=str).decode()
        except TypeError:
            # A lone surrogate has no UTF-8 bytes. A client made it up, and the log must show it.
            text = json.dumps(line, default=str)
        self._lines.add(escape_unprintable(text).encode() + b"\n")

    async def close(self) -> None:
        """Write the remaining lines and close the file."""
        await self._lines.close()
        if self._file is not None:
            os.close(self._file)

    def _write(self, data: bytes) -> None:
        if self._path is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        file = self._open_current_file(self._path)
        while data:
            data = data[os.write(file, data) :]

    def _open_current_file(self, path: Path) -> int:
        """Return a descriptor of the file that is at `path` now."""
        if self._file is not None and not _is_at(self._file, path):
            os.close(self._file)
            self._file = None
        if self._file is None:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        return self._file


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except OSError:
        return False
