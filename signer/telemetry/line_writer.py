"""Lines that requests leave, written by a thread a moment later: a slow disk or terminal holds up no request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

log = logging.getLogger("oss_signer")

_EVERY_SECONDS = 0.01
"""A small batch takes the core, and Python's lock, from requests for a small moment only."""
_MOST = 500_000
"""So many lines wait at most, should what they are written to hang; what comes then is lost, and counted."""


class LineWriter:
    """Make it, add to it and close it in one event loop."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        """`write` is called in a thread, never twice at once, with whole lines."""
        self._write = write
        self._lines: list[bytes] = []
        self._lost = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._batches: SimpleQueue[list[bytes] | None] = SimpleQueue()
        self._thread = Thread(target=self._write_batches, name="write lines", daemon=True)
        self._thread.start()

    def add(self, line: bytes) -> None:
        if len(self._lines) >= _MOST:
            self._lost += 1
            return
        self._lines.append(line)
        if self._timer is None:
            self._timer = self._loop.call_later(_EVERY_SECONDS, self._hand_over)

    def _hand_over(self) -> None:
        self._timer = None
        if self._batches.empty():
            self._batches.put(self._taken())
        else:
            self._timer = self._loop.call_later(_EVERY_SECONDS, self._hand_over)

    def _taken(self) -> list[bytes]:
        if self._lost:
            log.error("lines were lost, since they could not be written fast enough", extra={"lines": self._lost})
            self._lost = 0
        lines, self._lines = self._lines, []
        return lines

    def _write_batches(self) -> None:
        while (lines := self._batches.get()) is not None:
            try:
                self._write(b"".join(lines))
            except (OSError, ValueError) as error:
                # A ValueError says that the file is closed.
                log.error("lines cannot be written", extra={"lines": len(lines), "reason": str(error)})

    async def close(self) -> None:
        """Writes what is still there."""
        if self._timer is not None:
            self._timer.cancel()
        self._batches.put(self._taken())
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join)
