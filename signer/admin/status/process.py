"""This process and its machine; memory and files are 0 where the system does not provide them."""

from __future__ import annotations

import os
import platform
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import signer

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0


@dataclass(frozen=True, slots=True)
class ProcessState:
    """The process and its machine."""

    started_at: datetime
    worker: int | None
    host: str
    pid: int
    version: str
    python: str
    memory_bytes: int
    open_files: int
    max_open_files: int

    @classmethod
    def current(cls, started_at: datetime, worker: int | None) -> ProcessState:
        """Return the state of this process."""
        return cls(
            started_at,
            worker,
            socket.gethostname(),
            os.getpid(),
            signer.__version__,
            platform.python_version(),
            memory_bytes(),
            _open_files(),
            _max_open_files(),
        )


def memory_bytes() -> int:
    """Return the resident memory.

    See: https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html
    """
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    except OSError:
        return 0


def _max_open_files() -> int:
    try:
        import resource

        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except (ImportError, OSError):  # Windows has no module resource.
        return 0
