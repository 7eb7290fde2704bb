"""Calls of the file system with a deadline, so that a network file system that hangs delays nothing else.

Each call has a daemon thread. A call that hangs keeps it until the file system responds or the process ends; nothing
waits for it. asyncio's default executor is not used: it has few threads, which other work shares, and the end of the
process waits for all of them.
"""

import asyncio
import contextlib
import errno
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar, cast

DEADLINE_SECONDS = 5.0
"""For a call that reads or writes one file."""

_MAX_IDLE_THREADS = 4

T = TypeVar("T")

_Jobs = SimpleQueue[Callable[[], None]]


class FileSystemHangs(OSError):
    """A call of the file system did not return within its deadline, or was not tried because others did not."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.ETIMEDOUT, reason)


def fix_for(error: OSError, fix: str) -> str:
    """Return how to fix an error: `fix`, unless the file system hangs."""
    return "check its mount" if isinstance(error, FileSystemHangs) else fix


@dataclass(eq=False, slots=True)
class _Call(Generic[T]):
    seconds: float
    deadline: float
    """By the monotonic clock."""
    future: Future[T]

    def remaining_seconds(self) -> float:
        """Return how long to wait for it; 0 if it is done or hangs."""
        return 0.0 if self.future.done() else max(0.0, self.deadline - time.monotonic())

    def result(self) -> T:
        if not self.future.done():
            raise FileSystemHangs(f"no response from its file system within {self.seconds:g} s")
        return self.future.result()


class _Local(threading.local):
    call: _Call[Any] | None = None
    """The call that this thread runs."""


_lock = threading.Lock()
_local = _Local()
_calls: dict[Hashable, _Call[Any]] = {}
"""The calls that have not returned yet, by key."""
_idle_threads: list[_Jobs] = []
"""Threads whose call has returned; each waits for its next job."""


def run_with_deadline(key: Hashable, function: Callable[[], T], *, seconds: float = DEADLINE_SECONDS) -> T:
    """Call a function that may hang, and return its result. Blocks until the deadline; see `await_with_deadline`."""
    while True:
        call, is_own = _start_or_join(key, function, seconds)
        while remaining_seconds := call.remaining_seconds():
            with contextlib.suppress(TimeoutError):
                call.future.exception(timeout=remaining_seconds)
        if is_own or not call.future.done():
            return cast(T, call.result())


async def await_with_deadline(key: Hashable, function: Callable[[], T], *, seconds: float = DEADLINE_SECONDS) -> T:
    """Call a function that may hang, and return its result.

    Only one call with the same key runs at a time: others wait for its end, since its result may be older than their
    request. After its deadline they fail at once, so that a file that hangs has only one thread.

    Raises:
        FileSystemHangs: the function did not return within `seconds`, or an earlier call with the same key hangs.
        OSError: the function raised it, or no thread can be started.
    """
    while True:
        call, is_own = _start_or_join(key, function, seconds)
        waiting = asyncio.wrap_future(call.future)
        try:
            while remaining_seconds := call.remaining_seconds():
                await asyncio.wait((waiting,), timeout=remaining_seconds)
        finally:
            if waiting.done():
                waiting.exception()  # asyncio logs an exception that nothing retrieved
            waiting.cancel()
        if is_own or not call.future.done():
            return cast(T, call.result())


def extend_deadline() -> None:
    """Give the call that this thread runs its whole time again, since the file system has responded."""
    call = _local.call
    if call is not None:
        call.deadline = time.monotonic() + call.seconds


async def run_in_thread(function: Callable[[], T]) -> T:
    """Call a function in a thread of its own, without a deadline: each call in it that may hang has its own."""
    future = Future[T]()
    _start(future, function)
    return await asyncio.wrap_future(future)


def _start_or_join(key: Hashable, function: Callable[[], T], seconds: float) -> tuple[_Call[Any], bool]:
    """Start a call, or return the one with this key that has not returned yet; and whether it was started."""

    def run() -> T:
        _local.call = call
        try:
            return function()
        finally:
            _local.call = None
            with _lock:
                del _calls[key]

    with _lock:
        if key in _calls:
            return _calls[key], False
        call = _Call(seconds, time.monotonic() + seconds, Future[T]())
        _start(call.future, run)
        _calls[key] = call
        return call, True


def _start(future: Future[T], function: Callable[[], T]) -> None:
    """Call a function in a daemon thread that does nothing else; raise OSError if no thread can be started."""
    future.set_running_or_notify_cancel()  # so that nothing that waits for it can cancel it
    try:
        jobs = _idle_threads.pop()
    except IndexError:
        jobs = SimpleQueue()
        try:
            threading.Thread(target=_run_jobs, args=(jobs,), name="file call", daemon=True).start()
        except RuntimeError:
            raise OSError(errno.EAGAIN, "no thread can be started") from None
    jobs.put(lambda: _settle(future, function))


def _run_jobs(jobs: _Jobs) -> None:
    while True:
        jobs.get()()
        if len(_idle_threads) >= _MAX_IDLE_THREADS:
            return
        _idle_threads.append(jobs)


def _settle(future: Future[T], function: Callable[[], T]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
