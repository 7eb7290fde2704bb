"""`python -m tests.e2e.watched_signer --config FILE`: the signer's `serve`, with each callback of its event loop timed.

It runs on asyncio's own loop, whose callbacks can be wrapped; uvloop runs the same ones. When it ends it prints one
JSON line: how many callbacks there were, those that kept the loop busy for long, and the name of each thread started.

What counts is the time that a callback ran or was blocked. The time that it was ready to run and the machine's cores
were busy with others is taken off, as the kernel counts it (second number of schedstat, nanoseconds).
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

# Without uvloop, the command line takes asyncio's own loop.
sys.modules["uvloop"] = None  # type: ignore[assignment]

from signer.cli import main as signer_main  # noqa: E402

LONG_SECONDS = 0.1


class Watch:
    def __init__(self) -> None:
        self.callbacks = 0
        self.worst_seconds = 0.0
        self.long: list[tuple[str, float]] = []
        self._thread = threading.get_ident()
        try:
            self._schedstat = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        except OSError:
            self._schedstat = -1

    def put_up(self) -> None:
        run: Callable[[events.Handle], None] = events.Handle._run

        def timed(handle: events.Handle) -> None:
            if threading.get_ident() != self._thread:
                return run(handle)
            what = name_of(getattr(handle, "_callback", None))
            waited, started = self._waited_seconds(), time.monotonic()
            run(handle)
            took = time.monotonic() - started
            if took >= self.worst_seconds:
                took -= self._waited_seconds() - waited
            self.callbacks += 1
            self.worst_seconds = max(self.worst_seconds, took)
            if took >= LONG_SECONDS:
                self.long.append((what, round(took, 3)))
            return None

        events.Handle._run = timed  # type: ignore[method-assign,assignment]

    def _waited_seconds(self) -> float:
        if self._schedstat < 0:
            return 0.0
        return int(os.pread(self._schedstat, 100, 0).split()[1]) / 1e9


def name_of(callback: Any) -> str:
    """A callback of a task is named after the task's coroutine."""
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return str(getattr(owner.get_coro(), "__qualname__", owner))
    return str(getattr(callback, "__qualname__", callback))


def note_threads() -> list[str]:
    """The name of each thread that is started from now on."""
    names: list[str] = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        names.append(thread.name)
        start(thread)

    threading.Thread.start = noted  # type: ignore[method-assign,assignment]
    return names


def main() -> int:
    watch = Watch()
    watch.put_up()
    threads = note_threads()
    status = signer_main(["serve", *sys.argv[1:]])
    found = {
        "callbacks": watch.callbacks,
        "worst_seconds": round(watch.worst_seconds, 3),
        "long": watch.long,
        "threads": sorted(threads),
    }
    print(json.dumps(found))
    return status


if __name__ == "__main__":
    sys.exit(main())
