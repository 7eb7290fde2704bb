"""`python -m tests.e2e.instrumented_signer --config FILE`: the signer's `serve`, with every event-loop callback timed.

It runs on asyncio's own loop, whose callbacks can be wrapped; uvloop runs the same ones. At the end it prints one JSON
line: the number of callbacks, the ones that blocked the loop, and the name of each thread that was started. asyncio has
no public hook around callbacks, so it wraps `Handle._run`, and names them by `Handle._callback`.

The time in which the callback was ready to run but the machine's cores were busy does not count. The kernel reports it
as the second number of schedstat, in nanoseconds.

See: https://docs.kernel.org/scheduler/sched-stats.html
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from asyncio import events
from collections.abc import Callable
from typing import Any

# Without uvloop, the command line uses asyncio's own loop.
sys.modules["uvloop"] = None  # type: ignore[assignment]

from signer.cli import main as signer_main  # noqa: E402

BLOCKED_SECONDS = 1.0
"""Less than the tests' local cloud takes to respond, and more than any callback needs on a slow machine."""


class CallbackTimer:
    """Times the callbacks of the event loop of one thread."""

    def __init__(self) -> None:
        self.callbacks = 0
        self.longest_seconds = 0.0
        self.blocking: list[tuple[str, float]] = []
        self._thread = threading.get_ident()
        try:
            self._schedstat = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        except OSError:
            self._schedstat = -1

    def install(self) -> None:
        """Wrap every callback from now on."""
        run: Callable[[events.Handle], None] = events.Handle._run

        def timed(handle: events.Handle) -> None:
            if threading.get_ident() != self._thread:
                return run(handle)
            name = callback_name(getattr(handle, "_callback", None))
            delayed, started = self._delayed_seconds(), time.monotonic()
            run(handle)
            seconds = time.monotonic() - started
            if seconds >= self.longest_seconds:
                seconds -= self._delayed_seconds() - delayed
            self.callbacks += 1
            self.longest_seconds = max(self.longest_seconds, seconds)
            if seconds >= BLOCKED_SECONDS:
                self.blocking.append((name, round(seconds, 3)))
            return None

        events.Handle._run = timed  # type: ignore[method-assign,assignment]

    def _delayed_seconds(self) -> float:
        if self._schedstat < 0:
            return 0.0
        return int(os.pread(self._schedstat, 100, 0).split()[1]) / 1e9


def callback_name(callback: Any) -> str:
    """Return the name of a callback; a task's callback is named after its coroutine."""
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return str(getattr(owner.get_coro(), "__qualname__", owner))
    return str(getattr(callback, "__qualname__", callback))


def record_threads() -> list[str]:
    """Return a list to which the name of each started thread is added."""
    names: list[str] = []
    start = threading.Thread.start

    def recorded(thread: threading.Thread) -> None:
        names.append(thread.name)
        start(thread)

    threading.Thread.start = recorded  # type: ignore[method-assign,assignment]
    return names


def main() -> int:
    """Run the signer, then print what was recorded."""
    timer = CallbackTimer()
    timer.install()
    threads = record_threads()
    status = signer_main(["serve", *sys.argv[1:]])
    record = {
        "callbacks": timer.callbacks,
        "longest_seconds": round(timer.longest_seconds, 3),
        "blocking": timer.blocking,
        "threads": sorted(threads),
    }
    print(json.dumps(record))
    return status


if __name__ == "__main__":
    sys.exit(main())
