"""Writing a file so that it is there wholly or not at all, even when the power fails meanwhile."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

if os.name == "posix":
    import fcntl


def replace(path: Path, data: bytes, *, mode: int, owner: tuple[int, int] | None = None) -> None:
    """A new file in the place of `path`; `owner` is uid and gid, kept if we may. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    written = Path(name)
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
        written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        with contextlib.suppress(OSError), _opened(path.parent) as directory:  # some file systems have no such thing
            os.fsync(directory)


@contextlib.contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Held by one process at a time; raises BlockingIOError when another has it. Windows has none."""
    if os.name != "posix":
        yield
        return
    with _opened(directory) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
