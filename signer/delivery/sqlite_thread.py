"""Run SQLite in a thread of its own, and group concurrent operations into one transaction with one sync to the disk."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from signer.delivery.queue import QueueUnavailable
from signer.delivery.sqlite_file import FileNotOpen, FileReplaced, SqliteFile, describe, is_corruption

_MAX_GROUP = 512
_DEADLINE_SECONDS = 10.0
"""A disk that hangs makes the queue unavailable after this time."""
_CLOSE_SECONDS = 2.0
_WRITE_PROBE = "PRAGMA user_version = 0"
"""Writes a page, without a change. After an error, an operation that only reads does not show that writing works."""

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]
_Job = tuple[asyncio.Future[Any], Operation[Any]]
_Outcome = tuple[asyncio.Future[Any], Any, BaseException | None]


class SqliteThread:
    """Create it with `start`, in the event loop that uses it."""

    def __init__(self, file: SqliteFile, loop: asyncio.AbstractEventLoop) -> None:
        self._file = file
        self._loop = loop
        self._has_failed = False
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run_jobs, name="callback queue", daemon=True)

    @classmethod
    def start(cls, file: SqliteFile) -> SqliteThread:
        """Start the thread, which opens the file at the first operation."""
        started = cls(file, asyncio.get_running_loop())
        started._thread.start()
        return started

    async def run(self, operation: Operation[T], *expected: type[Exception]) -> T:
        """Return the result of an operation once it is on the disk. It is not run if cancelled while it waits.

        The `expected` exceptions do not roll back the other operations of the transaction. Raises `QueueUnavailable`.
        """
        future: asyncio.Future[T] = self._loop.create_future()

        def operation_with_result(connection: sqlite3.Connection) -> T | Exception:
            try:
                return operation(connection)
            except expected as error:
                return error

        self._jobs.put((future, operation_with_result))
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                result: T | Exception = await future
        except TimeoutError:
            raise QueueUnavailable(f"the disk did not respond within {_DEADLINE_SECONDS:g} s") from None
        if isinstance(result, expected):
            raise result
        return result  # type: ignore[return-value]

    def _run_jobs(self) -> None:
        is_closing = False
        while not is_closing:
            jobs = [self._jobs.get()]
            with contextlib.suppress(queue.Empty):
                while len(jobs) < _MAX_GROUP:
                    jobs.append(self._jobs.get_nowait())
            is_closing = None in jobs
            outcomes = self._outcomes([job for job in jobs if job is not None and not job[0].cancelled()])
            with contextlib.suppress(RuntimeError):  # The loop is closed, so nothing waits for the outcomes.
                self._loop.call_soon_threadsafe(_set_outcomes, outcomes)
        self._file.close()

    def _outcomes(self, jobs: list[_Job]) -> list[_Outcome]:
        if not jobs:
            return []
        try:
            try:
                return self._run_transaction(jobs)
            except Exception as error:
                if not is_corruption(error) and not isinstance(error, FileReplaced):
                    raise
            return self._run_transaction(jobs)  # on the file that replaces the former one
        except Exception as error:
            self._has_failed = True
            is_from_file = is_corruption(error) or isinstance(
                error, sqlite3.Error | OSError | FileNotOpen | FileReplaced
            )
            raised = QueueUnavailable(describe(error)) if is_from_file else error
            return [(future, None, raised) for future, _ in jobs]

    def _run_transaction(self, jobs: list[_Job]) -> list[_Outcome]:
        connection = self._file.connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._file.check_identity()
            if self._has_failed:
                connection.execute(_WRITE_PROBE)
            outcomes: list[_Outcome] = [(future, operation(connection), None) for future, operation in jobs]
            connection.execute("COMMIT")
        except Exception as error:
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            self._file.record_error(error)
            raise
        self._file.record_success()
        self._has_failed = False
        return outcomes

    async def close(self) -> None:
        """Finish the operations that wait, and end the thread, unless the disk hangs."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)


def _set_outcomes(outcomes: list[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
