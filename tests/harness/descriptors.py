"""Takes all free file descriptors from a process."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def no_free_descriptor(pid: int | None = None) -> Iterator[None]:
    """Let a process, by default that of the tests, open nothing more during the block."""
    pid = os.getpid() if pid is None else pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # Not the lowest number that is free now, which a file that is just being read may free again. poll(2) needs one.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
