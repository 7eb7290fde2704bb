"""Run SQLite in a thread of its own, and group concurrent operations into one transaction with one sync to the disk."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from signer.delivery.queue import CannotOpenQueue, QueueUnavailable

_MAX_GROUP = 512
_LOCK_TIMEOUT_SECONDS = 1.0
"""How long to wait for the transaction of another process."""
_FILE_MODE, _DIRECTORY_MODE = 0o600, 0o700

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]
_Job = tuple[asyncio.Future[Any], Operation[Any]]
_Outcome = tuple[asyncio.Future[Any], Any, BaseException | None]


class SqliteThread:
    """Create it with `open`, in the event loop that uses it."""

    def __init__(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run_jobs, name="callback queue", daemon=True)

    @classmethod
    async def open(cls, path: Path, schema: str) -> SqliteThread:
        """Open the file, or create it, and start the thread. Raises `CannotOpenQueue`."""
        try:
            connection = await asyncio.to_thread(_connect, path, schema)
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise CannotOpenQueue(
                f"the callback queue {path} cannot be opened: {reason}; "
                "name a file in a directory that belongs to the service"
            ) from None
        opened = cls(connection, asyncio.get_running_loop())
        opened._thread.start()
        return opened

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
        result: T | Exception = await future
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
            outcomes = self._run_transaction([job for job in jobs if job is not None and not job[0].cancelled()])
            with contextlib.suppress(RuntimeError):  # The loop is closed, so nothing waits for the outcomes.
                self._loop.call_soon_threadsafe(_set_outcomes, outcomes)
        self._connection.close()

    def _run_transaction(self, jobs: list[_Job]) -> list[_Outcome]:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes: list[_Outcome] = [(future, operation(connection), None) for future, operation in jobs]
            connection.execute("COMMIT")
        except Exception as error:
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raised = QueueUnavailable(str(error)) if isinstance(error, sqlite3.Error) else error
            return [(future, None, raised) for future, _ in jobs]
        return outcomes

    async def close(self) -> None:
        """Finish the operations that wait, and end the thread."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)


def _set_outcomes(outcomes: list[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


def _connect(path: Path, schema: str) -> sqlite3.Connection:
    path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    path.touch(mode=_FILE_MODE)
    connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection
