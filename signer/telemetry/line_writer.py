"""Writes lines in a thread of their own, so that a full disk or a reader that stops delays nothing else."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, RLock, Thread, current_thread, get_ident

log = logging.getLogger("oss_signer")

_MAX_WAITING_BYTES = 32 * 2**20
_GATHER_SECONDS = 0.01
"""Short, because a large batch would hold the interpreter lock for longer while requests wait."""
_PIECE_BYTES = 2**16
"""Waiting lines are joined to pieces of about this size."""
_RETRY_SECONDS = 1.0
_CLOSE_SECONDS = 2.0

Write = Callable[[memoryview], int]
"""Writes the first lines of several, whole ones only, and returns their size in bytes.

It may block, and raises OSError if it cannot write any now.
"""


class LineWriter:
    """A bounded buffer of lines and the thread that writes them. The lines of each thread keep their order.

    While a write blocks or fails, lines wait. Those that do not fit into the buffer are lost and counted.
    """

    def __init__(
        self,
        sink: str,
        write: Write,
        *,
        max_waiting_bytes: int = _MAX_WAITING_BYTES,
        retry_seconds: float = _RETRY_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a writer; its thread starts with the first line.

        Args:
            sink: what is written to, as logs and metrics name it.
            retry_seconds: how long to wait after an error before the next attempt.
        """
        self.sink = sink
        self.lost_lines = 0
        """How many lines were lost so far."""
        self._write = write
        self._retry_seconds = retry_seconds
        self._monotonic = monotonic
        self._gathered: list[bytes] = []
        self._gathering_thread = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[bytes] = deque()
        self._max_waiting_bytes = self._room_bytes = max_waiting_bytes
        self._piece, self._piece_written_bytes = b"", 0
        self._reported_lost_lines = self._written_since_report_bytes = 0
        # Reentrant, because the garbage collector may run a destructor that logs while a line is added.
        self._lock = RLock()
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._is_woken = False
        self._blocked_since: float | None = None
        self._write_started_at: float | None = None
        self._is_closing = Event()
        self._is_closed = False
        self._thread: Thread | None = None

    def add(self, line: bytes) -> None:
        """Add one line, with its line feed, in any thread, and have it written at once."""
        if self._gathered and get_ident() == self._gathering_thread:
            self.flush()
        self._append(line)

    def gather(self, line: bytes) -> None:
        """Add one line, with its line feed, in the event loop; the lines of 10 ms are written together."""
        self._gathered.append(line)
        if self._timer is None:
            self._gathering_thread = get_ident()
            self._timer = asyncio.get_running_loop().call_later(_GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        """Have the gathered lines written now. Call it in the thread of the event loop."""
        self._timer = None
        if self._gathered:
            # Replaced first: joining may run a destructor that logs, and so calls this method, too.
            lines, self._gathered = self._gathered, []
            self._append(b"".join(lines))

    def blocked_seconds(self) -> float:
        """Return for how long no line could be written although lines wait."""
        return self._seconds_since(self._blocked_since)

    def close(self, timeout_seconds: float = _CLOSE_SECONDS) -> bool:
        """Write the waiting lines and end the thread; after the timeout, the rest is lost and counted.

        The time that a hanging write has already taken counts, so that several writers with the same fault do not add
        up: closing them one after another takes as long as closing one.

        Return whether the thread has ended.
        """
        self._is_closing.set()
        self._wakes.put(None)
        if self._thread is not None:
            self._thread.join(max(timeout_seconds - self._seconds_since(self._write_started_at), 0.0))
        with self._lock:
            self._is_closed = True
            self._room_bytes = 0
            self.lost_lines += self._piece.count(b"\n", self._piece_written_bytes)
            self.lost_lines += sum(lines.count(b"\n") for lines in self._waiting)
            self._piece = b""
            self._waiting.clear()
        self._report_lost_lines("lines lost")
        return self._thread is None or not self._thread.is_alive()

    def _append(self, lines: bytes) -> None:
        size = len(lines)
        with self._lock:
            # The thread reports what was lost before it has made room.
            is_report = current_thread() is self._thread
            if self._is_closed or (size > self._room_bytes and not is_report):
                self.lost_lines += lines.count(b"\n")
                return
            self._room_bytes -= size
            self._waiting.append(lines)
            if self._thread is None:
                self._start_thread()
        if not self._is_woken:
            self._is_woken = True
            self._wakes.put(None)

    def _start_thread(self) -> None:
        # A daemon, because it may hang in a system call when the process ends.
        self._thread = Thread(target=self._run, name=f"write {self.sink}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # The limit of threads is reached; the next line tries again.
            self._thread = None

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._wakes.get()
            is_last = self._is_closing.is_set()
            self._is_woken = False
            if not self._write_waiting_lines():
                return

    def _write_waiting_lines(self) -> bool:
        """Return whether all of them were written, with the result of the last attempt when the writer is closed."""
        has_failed = False
        while piece := self._next_piece():
            self._blocked_since = self._monotonic()
            while self._piece_written_bytes < len(piece):
                is_last_attempt = self._is_closing.is_set()
                try:
                    size = self._timed_write(piece[self._piece_written_bytes :])
                except OSError as error:
                    if not has_failed:
                        has_failed = True
                        log.error("lines not written", extra={"sink": self.sink, "reason": _reason(error)})
                    if is_last_attempt:
                        return False
                    self._is_closing.wait(self._retry_seconds)
                    continue
                with self._lock:
                    if self._is_closed:
                        return False
                    self._piece_written_bytes += size
                    self._room_bytes += size
                self._blocked_since = self._monotonic()
                self._written_since_report_bytes += size
            if self._written_since_report_bytes > self._max_waiting_bytes:
                # The reader is too slow for all lines, but has received those that waited when others were lost.
                self._report_lost_lines("lines written again")
        self._blocked_since = None
        self._report_lost_lines("lines written again", always=has_failed)
        return True

    def _timed_write(self, lines: memoryview) -> int:
        self._write_started_at = self._monotonic()
        try:
            return self._write(lines)
        finally:
            self._write_started_at = None

    def _seconds_since(self, moment: float | None) -> float:
        return 0.0 if moment is None else self._monotonic() - moment

    def _next_piece(self) -> memoryview:
        with self._lock:
            lines = [self._waiting.popleft()] if self._waiting else []
            size = sum(map(len, lines))
            while self._waiting and size + len(self._waiting[0]) <= _PIECE_BYTES:
                lines.append(self._waiting.popleft())
                size += len(lines[-1])
            self._piece, self._piece_written_bytes = b"".join(lines), 0
            return memoryview(self._piece)

    def _report_lost_lines(self, message: str, *, always: bool = False) -> None:
        self._written_since_report_bytes = 0
        lost = self.lost_lines - self._reported_lost_lines
        if lost or always:
            self._reported_lost_lines += lost
            log.warning(message, extra={"sink": self.sink, "lines_lost": lost})


def _reason(error: OSError) -> str:
    text = error.strerror or str(error)
    return text if error.filename is None else f"{error.filename}: {text}"
