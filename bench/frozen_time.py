"""Run a Python program on uvloop in frozen time. `python -m bench.frozen_time FILE ARGUMENTS`

The wall clock does not move; each SIGUSR2 advances it by a second. Timers run normally until the first SIGUSR1,
so the program starts as usual. From then on they are held, and each SIGUSR1 fires those that are due within
`SOON_SECONDS` of their start. Work that the program does in batches is then done once for each SIGUSR1, whatever the
speed of the machine, and periodic work is not done at all.

It uses `TimerHandle._run`, the only way to run the callback of an asyncio timer.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import runpy
import signal
import sys
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeVarTuple

import uvloop

SOON_SECONDS = 0.1

Ts = TypeVarTuple("Ts")


class WallClock:
    """The time of day, as the program reads it."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC).replace(microsecond=0)
        self._seconds = self._now.timestamp()

    def advance(self) -> None:
        """Advance the clock by one second."""
        self._now += timedelta(seconds=1)
        self._seconds += 1

    def install(self) -> None:
        """Replace what Python code reads the time of day with."""
        time.time = lambda: self._seconds
        time.time_ns = lambda: int(self._seconds) * 1_000_000_000
        # A subclass instead would not be the class that other modules have imported or compare with.
        attributes = gc.get_referents(datetime.__dict__)[0]
        attributes["now"] = staticmethod(self._datetime_now)
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))

    def _datetime_now(self, tz: tzinfo | None = None) -> datetime:
        return self._now if tz is UTC else self._now.astimezone(tz)


class HeldTimersLoop(uvloop.Loop):
    """uvloop's event loop, whose timers can be held."""

    def __init__(self) -> None:
        super().__init__()
        self._holds = False
        self._pending: dict[int, _Timer] = {}

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if delay <= 0:
            return super().call_later(delay, callback, *args, context=context)
        handle = asyncio.TimerHandle(self.time() + delay, callback, args, self, context)
        running = None if self._holds else super().call_later(delay, self._fire, handle)
        self._pending[id(handle)] = _Timer(handle, delay, running)
        return handle

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_later(when - self.time(), callback, *args, context=context)

    def fire_soon(self) -> None:
        """Fire the timers that are due within `SOON_SECONDS` of their start; hold the others and all new ones."""
        self._holds = True
        # A thread that waits for Python's lock wakes up once in this interval.
        sys.setswitchinterval(3600)
        timers = list(self._pending.values())
        for timer in timers:
            timer.stop()
            if timer.delay_seconds <= SOON_SECONDS:
                self._fire(timer.handle)

    def _fire(self, handle: asyncio.TimerHandle) -> None:
        if self._pending.pop(id(handle), None) is not None:
            handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Stop a timer, unless it has fired; asyncio calls this when one is cancelled."""
        if timer := self._pending.pop(id(handle), None):
            timer.stop()


@dataclass(slots=True)
class _Timer:
    handle: asyncio.TimerHandle
    delay_seconds: float
    running: asyncio.TimerHandle | None
    """uvloop's own timer; None while timers are held."""

    def stop(self) -> None:
        if self.running is not None:
            self.running.cancel()
            self.running = None


def main() -> None:
    """Run the program that the command line names."""
    clock = WallClock()
    clock.install()
    signal.signal(signal.SIGUSR2, lambda *_: clock.advance())

    def new_event_loop() -> HeldTimersLoop:
        loop = HeldTimersLoop()
        signal.signal(signal.SIGUSR1, lambda *_: loop.call_soon_threadsafe(loop.fire_soon))
        return loop

    uvloop.new_event_loop = new_event_loop
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
