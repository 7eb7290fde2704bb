"""Reads regular files only: reading a pipe or a device may never end."""

import errno
import os
from pathlib import Path
from stat import S_ISDIR, S_ISREG


class NotARegularFile(OSError):
    """The path is that of a pipe, a socket, a device or a directory."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "Not a regular file", str(path))


def read_regular_file(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a file, of a longer one the first `max_bytes + 1` bytes; never wait for data.

    It blocks as long as the file system does: use it in a function that `file_calls` runs.
    """
    # Opening a device can have effects, hence the first check. The second is for a path replaced meanwhile.
    _check_mode(path, path.stat())
    with open(path, "rb", opener=_open_without_waiting) as stream:
        _check_mode(path, os.fstat(stream.fileno()))
        data: bytes | None = stream.read(max_bytes + 1)
    if data is None:  # files like /proc/kmsg
        raise NotARegularFile(path)
    return data


def _check_mode(path: Path, state: os.stat_result) -> None:
    if S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not S_ISREG(state.st_mode):
        raise NotARegularFile(path)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
