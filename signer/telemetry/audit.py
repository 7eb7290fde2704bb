"""The audit log: one JSON object a line for each signature and each callback, in a file or on stdout.

The file is opened anew when logrotate has put another in its place, so that a rotation loses no line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson

from signer.telemetry.line_writer import LineWriter

STDOUT = "stdout"

_MODE = 0o640


class AuditLog:
    """`target` is a path, or `stdout`."""

    def __init__(self, target: str) -> None:
        self._path = None if target == STDOUT else Path(target)
        self._file: int | None = None
        self._lines = LineWriter(self._write)

    def add(self, event: str, members: Mapping[str, object]) -> None:
        """With the time of now; it is written within a moment, off the event loop."""
        line = {"time": datetime.now(UTC), "event": event, **members}
        try:
            text = orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:
            # Half a character, which UTF-8 knows no bytes for; somebody made it up, and it is to be seen.
            text = json.dumps(line, default=str).encode() + b"\n"
        self._lines.add(text)

    def _write(self, data: bytes) -> None:
        if self._path is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        file = self._current_file(self._path)
        while data:
            data = data[os.write(file, data) :]

    def _current_file(self, path: Path) -> int:
        if self._file is not None and not _is_at(self._file, path):
            os.close(self._file)
            self._file = None
        if self._file is None:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        return self._file

    async def close(self) -> None:
        await self._lines.close()
        if self._file is not None:
            os.close(self._file)


def _is_at(file: int, path: Path) -> bool:
    try:
        there, ours = path.stat(), os.fstat(file)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
