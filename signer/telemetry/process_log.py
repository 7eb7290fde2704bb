"""Sends everything that a process logs or prints to stderr through one line writer, crashes of threads included."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

from signer.telemetry.line_files import STDERR_DESCRIPTOR, LineStream
from signer.telemetry.line_writer import LineWriter
from signer.telemetry.logs import LogHandler
from signer.telemetry.terminal_lines import TerminalLines, wants_color

log = logging.getLogger("oss_signer")


@contextlib.contextmanager
def process_log(
    *, level: int = logging.INFO, worker: int | None = None, descriptor: int = STDERR_DESCRIPTOR
) -> Iterator[LineWriter]:
    """Log to stderr during the block: this package from `level` on, libraries from warnings on.

    A terminal gets readable lines, everything else JSON.

    A reader of stderr that stops delays neither the block nor its end by more than 2 s.
    """
    if os.isatty(descriptor):
        write = TerminalLines(descriptor, has_colors=wants_color(sys.stderr)).write
    else:
        write = LineStream(descriptor).write
    lines = LineWriter("log", write)
    root, package = logging.getLogger(), logging.getLogger("oss_signer")
    handlers, levels = root.handlers[:], (root.level, package.level)
    hooks, stderr = (threading.excepthook, sys.unraisablehook), sys.stderr
    root.handlers[:] = [LogHandler(lines, worker)]
    root.setLevel(logging.WARNING)
    package.setLevel(level)
    logging.captureWarnings(True)
    threading.excepthook, sys.unraisablehook = _log_end_of_thread, _log_ignored_exception
    sys.stderr = printed = _PrintedLines(lines, stderr)
    try:
        yield lines
    finally:
        lines.flush()
        printed.end_line()
        if lines.close():
            # Otherwise the next one who prints would wait for the reader.
            sys.stderr = stderr
        threading.excepthook, sys.unraisablehook = hooks
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        package.setLevel(levels[1])


class _Unfinished(threading.local):
    line = ""
    """What a thread has printed since its last line feed."""


class _PrintedLines(io.TextIOBase):
    """Replaces stderr for code that prints, such as a traceback. The lines of several threads do not mix."""

    def __init__(self, lines: LineWriter, stderr: TextIO) -> None:
        self._lines = lines
        self._stderr = stderr
        self._unfinished = _Unfinished()

    def write(self, text: str) -> int:
        *lines, self._unfinished.line = (self._unfinished.line + text).split("\n")
        for line in lines:
            self._lines.add(f"{line}\n".encode(errors="backslashreplace"))
        return len(text)

    def end_line(self) -> None:
        """End the line of this thread, if it is unfinished."""
        if self._unfinished.line:
            self.write("\n")

    def isatty(self) -> bool:
        return self._stderr.isatty()

    def fileno(self) -> int:
        return self._stderr.fileno()


def _log_end_of_thread(hook: threading.ExceptHookArgs) -> None:
    if hook.exc_type is not SystemExit:
        name = None if hook.thread is None else hook.thread.name
        log.critical("thread ended by an exception", extra={"thread_name": name}, exc_info=hook.exc_value)


def _log_ignored_exception(hook: sys.UnraisableHookArgs) -> None:
    name = getattr(hook.object, "__qualname__", type(hook.object).__name__)
    log.error("exception ignored", extra={"object": name}, exc_info=hook.exc_value)
