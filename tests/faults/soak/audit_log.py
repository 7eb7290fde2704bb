"""Rotates the audit log, and counts its lines."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from tests.harness.waiting import wait_until

ROTATION_SECONDS = 5.0


class AuditLog:
    """The audit log in a directory."""

    def __init__(self, directory: Path) -> None:
        self.signatures = 0
        """How many signatures the files had that were rotated."""
        self._file, self._rotated = directory / "audit.log", directory / "audit.log.1"

    @contextlib.asynccontextmanager
    async def rotated(self) -> AsyncIterator[None]:
        """Rotate it again and again until the end of the block, as logrotate does."""
        stop = asyncio.Event()

        async def keep_rotating() -> None:
            while not stop.is_set():
                await self.rotate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), ROTATION_SECONDS)

        async with asyncio.TaskGroup() as group:
            group.create_task(keep_rotating())
            try:
                yield
            finally:
                stop.set()

    async def rotate(self) -> None:
        """Rename the file, and count its lines when the signer no longer writes to it."""
        await wait_until(self._file.exists)
        self._file.rename(self._rotated)
        await wait_until(self._file.exists)
        self._count(self._rotated)
        self._rotated.unlink()

    def count_last(self) -> None:
        """Count the lines of the file that was not rotated."""
        self._count(self._file)

    def _count(self, file: Path) -> None:
        text = file.read_text(encoding="utf-8")
        assert not text or text.endswith("\n"), f"half a line: {text[-300:]}"
        self.signatures += sum(json.loads(line)["event"] == "signature" for line in text.splitlines())
