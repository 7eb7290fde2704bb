"""Writes log lines in a thread, many at a time, so that a slow disk or terminal delays no request."""

import asyncio
import logging
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

log = logging.getLogger("oss_signer")

_FLUSH_SECONDS = 0.01
"""Short, because a large batch would hold the interpreter lock for longer while requests wait."""
_MAX_WAITING_LINES = 500_000


class LineWriter:
    """A bounded buffer of lines and the thread that writes them; create, use and close it in one event loop."""

    def __init__(self, write: Callable[[bytes], None], *, max_waiting_lines: int = _MAX_WAITING_LINES) -> None:
        """Create a writer; its thread starts with the first line, and calls `write` with whole lines.

        While `max_waiting_lines` wait because `write` blocks, new lines are dropped and counted.
        """
        self._write = write
        self._max_waiting_lines = max_waiting_lines
        self._lines: list[bytes] = []
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None
        self._batches: SimpleQueue[list[bytes] | None] = SimpleQueue()
        self._thread: Thread | None = None

    def add(self, line: bytes) -> None:
        """Add one line, with its line feed."""
        if len(self._lines) >= self._max_waiting_lines:
            self._dropped += 1
            return
        self._lines.append(line)
        if self._timer is None:
            self._schedule_flush()

    async def close(self) -> None:
        """Write the remaining lines and end the thread."""
        if self._timer is not None:
            self._timer.cancel()
        self._pass_batch_to_thread()
        if self._thread is not None:
            self._batches.put(None)
            await asyncio.to_thread(self._thread.join)

    def _schedule_flush(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._timer = None
        if self._batches.empty():
            self._pass_batch_to_thread()
        else:
            self._schedule_flush()

    def _pass_batch_to_thread(self) -> None:
        if self._dropped:
            log.error("lines dropped because writing is too slow", extra={"lines": self._dropped})
            self._dropped = 0
        if self._lines:
            batch, self._lines = self._lines, []
            self._batches.put(batch)
            if self._thread is None:
                self._thread = Thread(target=self._write_batches, name="write lines", daemon=True)
                self._thread.start()

    def _write_batches(self) -> None:
        while (lines := self._batches.get()) is not None:
            try:
                self._write(b"".join(lines))
            except (OSError, ValueError) as error:
                # A closed file raises ValueError.
                log.error("lines not written", extra={"lines": len(lines), "reason": str(error)})
