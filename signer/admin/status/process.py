"""Memory and open files of this process; 0 where the system does not provide them."""

from __future__ import annotations

import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0


def memory_bytes() -> int:
    """Return the resident memory.

    See: https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html
    """
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def open_files() -> int:
    """Return the number of open files."""
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    except OSError:
        return 0


def max_open_files() -> int:
    """Return the limit on open files."""
    try:
        import resource

        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except (ImportError, OSError):  # Windows has no module resource.
        return 0
