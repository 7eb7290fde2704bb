"""Measures the resources of a process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """The resources of a process."""

    memory_bytes: int
    files: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> ProcessUsage:
        """Read them from /proc."""
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        numbers = dict(re.findall(r"^(VmRSS|Threads):\s+([0-9]+)", status, re.MULTILINE))
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(int(numbers["VmRSS"]) * 1024, files, int(numbers["Threads"]))
