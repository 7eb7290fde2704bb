"""Replaces files atomically: after a crash or power failure a file has either its former or its new content."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

if os.name == "posix":
    import fcntl


def replace_file(path: Path, data: bytes, *, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Write `data` to a new file and rename it to `path`, which stays unchanged if that raises OSError.

    `owner` is a user id and a group id; it is ignored if this process must not set them.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            if os.name == "posix":
                if owner is not None:
                    with contextlib.suppress(PermissionError):
                        os.fchown(stream.fileno(), *owner)
                os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


@contextlib.contextmanager
def lock_directory(directory: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold an exclusive lock on a directory for the block; do nothing on Windows.

    While another process holds it, wait, or raise BlockingIOError.
    """
    if os.name != "posix":
        yield
        return
    with _open_directory(directory) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def sync_directory(directory: Path) -> None:
    """Write the names in a directory to the disk, so that they survive a power failure.

    Some file systems cannot do that; on Windows, nothing is done.
    """
    if os.name == "posix":
        with contextlib.suppress(OSError), _open_directory(directory) as descriptor:
            os.fsync(descriptor)


@contextlib.contextmanager
def _open_directory(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
