"""Limits processes to a part of a core, with Linux's control groups (version 1 or 2); needs root."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_PERIOD_MICROSECONDS = 10_000


@contextlib.contextmanager
def cpu_quota(cores: float, pids: Iterable[int]) -> Iterator[bool]:
    """Limit each process to this part of a core inside the block; yield whether the machine allows it.

    See: https://docs.kernel.org/admin-guide/cgroup-v2.html
    """
    with contextlib.ExitStack() as stack:
        try:
            for pid in pids:
                stack.enter_context(_group(cores, pid))
        except OSError:
            stack.close()
            yield False
            return
        yield True


@contextlib.contextmanager
def _group(cores: float, pid: int) -> Iterator[None]:
    parent = _GROUPS / "cpu" if (_GROUPS / "cpu").is_dir() else _GROUPS
    group = parent / f"oss-signer-bench-{os.getpid()}-{pid}"
    quota = int(cores * _PERIOD_MICROSECONDS)
    group.mkdir()
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}", encoding="ascii")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS), encoding="ascii")
            (group / "cpu.cfs_quota_us").write_text(str(quota), encoding="ascii")
        (group / "cgroup.procs").write_text(str(pid), encoding="ascii")
        try:
            yield
        finally:
            (parent / "cgroup.procs").write_text(str(pid), encoding="ascii")
    finally:
        group.rmdir()
