"""Cores that do not sleep while they wait.

A server that is slower than wrk lets wrk's core fall asleep between two answers, and the system charges it for waking
that core: a few microseconds a request in a virtual machine. No client across a network costs a server that.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path

_LATENCY = Path("/dev/cpu_dma_latency")
"""Linux keeps to the latency written there as long as the file is open (kernel docs, admin-guide/pm/cpuidle)."""


@contextlib.contextmanager
def awake() -> Iterator[bool]:
    """Inside the block; whether this machine lets us, which takes root."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_LATENCY.open("wb", buffering=0)).write(struct.pack("=i", 0))
        except OSError:
            stack.close()
            yield False
            return
        yield True
