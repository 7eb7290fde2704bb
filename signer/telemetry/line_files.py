"""Files and streams that hold whole lines, also when a disk is full or several processes write to them."""

import contextlib
import os
import select
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

STDOUT_DESCRIPTOR, STDERR_DESCRIPTOR = 1, 2
_FILE_BYTES = 2**20
"""How much is written to a file at once."""
_STREAM_BYTES = 4096
"""How much is written to a pipe at once: up to PIPE_BUF, so that lines of several processes do not mix."""
_MODE = 0o640


class LineStream:
    """A standard stream of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._piece_bytes = _FILE_BYTES if _is_file(descriptor) else _STREAM_BYTES

    def write(self, lines: memoryview) -> int:
        """Write the first lines, whole ones only, and return their size in bytes."""
        return _write_lines(self._descriptor, _first_lines(lines, self._piece_bytes))


class LineFile:
    """The file that is at a path now: after logrotate has renamed it, the next lines go to a new one."""

    def __init__(self, path: Path) -> None:
        """Create it; the file is opened, or created, with the first lines."""
        self._path = path
        self._descriptor: int | None = None
        self._may_end_within_line = False

    def write(self, lines: memoryview) -> int:
        """Write the first lines, whole ones only, and return their size in bytes."""
        descriptor = self._open_current()
        with _locked(descriptor):
            if self._may_end_within_line and _ends_within_line(self._path):
                os.write(descriptor, b"\n")
            self._may_end_within_line = True
            piece = _first_lines(lines, _FILE_BYTES)
            size = _write_lines(descriptor, piece)
            self._may_end_within_line = size < len(piece)
            return size

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open_current(self) -> int:
        if self._descriptor is not None and not _is_at(self._descriptor, self._path):
            self.close()
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, _MODE)
            # A process that was killed, or a power failure, may have left half a line.
            self._may_end_within_line = True
        return self._descriptor


def _write_lines(descriptor: int, lines: memoryview) -> int:
    """Write lines, and return the size of those that were written whole; raise OSError if not even one was."""
    size = 0
    try:
        while size < len(lines):
            try:
                size += os.write(descriptor, lines[size:])
            except BlockingIOError:  # Another process made the stream non-blocking.
                select.select((), (descriptor,), ())
    except OSError:
        whole = bytes(lines[:size]).rfind(b"\n") + 1
        if size > whole and _is_file(descriptor):
            _remove_end(descriptor, size - whole)
        if not whole:
            raise
        return whole
    return size


def _first_lines(lines: memoryview, max_bytes: int) -> memoryview:
    """Return as many lines as fit, at least one."""
    if len(lines) <= max_bytes:
        return lines
    end = bytes(lines[:max_bytes]).rfind(b"\n") + 1
    while not end:
        max_bytes *= 2
        end = bytes(lines[:max_bytes]).find(b"\n") + 1
    return lines[:end]


def _remove_end(descriptor: int, size: int) -> None:
    """Remove what this process has just written at the end of a file."""
    end = os.lseek(descriptor, 0, os.SEEK_CUR)
    if os.fstat(descriptor).st_size == end:
        with contextlib.suppress(OSError):  # The file can be appended to only.
            os.ftruncate(descriptor, end - size)
            os.lseek(descriptor, end - size, os.SEEK_SET)


def _ends_within_line(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"
    except OSError:  # It is empty, or must not be read.
        return False


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    """Keep other signers from appending meanwhile, which also remove half a line."""
    if sys.platform == "win32":
        yield
        return
    with contextlib.suppress(OSError):  # Not every file system has locks.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def _is_file(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False
