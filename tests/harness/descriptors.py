"""Takes all free file descriptors from a process."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from itertools import count
from pathlib import Path


@contextlib.contextmanager
def no_free_descriptor(pid: int | None = None) -> Iterator[None]:
    """Let a process, by default that of the tests, open nothing more during the block."""
    pid = os.getpid() if pid is None else pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    listed = [*Path(f"/proc/{pid}/fd").iterdir()]
    used = {int(each.name) for each in listed if each.is_symlink()}  # without that of the listing itself
    lowest_free = next(number for number in count() if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
