"""What a process and its children have used, from /proc (man page proc_pid_stat)."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12
"""Where utime and stime stand behind the name, which may hold blanks and brackets."""


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and of its children that run."""
    return sum(_cpu_seconds(each) for each in _family(pid))


def memory_mib(pid: int, what: str = "VmRSS") -> float:
    """Of the process and its children together; VmRSS is what it has in memory, VmHWM the most that it had."""
    return sum(_memory_mib(each, what) for each in _family(pid))


def _family(pid: int) -> list[int]:
    family = [pid]
    for member in family:
        for task in Path(f"/proc/{member}/task").iterdir():
            family += map(int, (task / "children").read_text(encoding="ascii").split())
    return family


def _cpu_seconds(pid: int) -> float:
    behind_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(behind_name[_USER]) + int(behind_name[_SYSTEM])) / _TICKS_PER_SECOND


def _memory_mib(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024
