"""Keeps cores from sleeping while they wait.

A server that is slower than wrk lets wrk's core fall asleep between two responses, and the system charges the server
for waking that core: a few microseconds a request in a virtual machine. No client across a network costs a server that.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path

_CPU_DMA_LATENCY = Path("/dev/cpu_dma_latency")


@contextlib.contextmanager
def without_idle_states() -> Iterator[bool]:
    """Keep all cores awake inside the block; yield whether the machine allows it, which takes root.

    See: https://docs.kernel.org/admin-guide/pm/cpuidle.html
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_CPU_DMA_LATENCY.open("wb", buffering=0)).write(struct.pack("=i", 0))
        except OSError:
            stack.close()
            yield False
            return
        yield True
