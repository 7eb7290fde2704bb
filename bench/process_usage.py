"""CPU time, memory and open files of a process, read from /proc.

See: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
"""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME = 11, 12
"""Their positions after the process's name, which may contain spaces and brackets."""


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of the process and its running children."""
    return sum(_cpu_seconds(each) for each in _with_children(pid))


def memory_mib(pid: int, field: str = "VmRSS") -> float:
    """Return the memory of the process and its running children.

    Args:
        pid: The process.
        field: `VmRSS` for resident memory now, `VmHWM` for its peak.
    """
    return sum(_memory_mib(each, field) for each in _with_children(pid))


def open_files(pid: int) -> int:
    """Return the number of open file descriptors of the process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _with_children(pid: int) -> list[int]:
    pids = [pid]
    for each in pids:
        for task in Path(f"/proc/{each}/task").iterdir():
            pids += map(int, (task / "children").read_text(encoding="ascii").split())
    return pids


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS_PER_SECOND


def _memory_mib(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024
