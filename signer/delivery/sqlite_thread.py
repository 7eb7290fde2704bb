"""SQLite in a thread of its own: what several ask at once becomes one transaction and one sync to the disk."""

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

_MOST_AT_ONCE = 512
_BUSY_SECONDS = 1.0
"""How long a transaction of another process is waited for."""
_MODE, _DIRECTORY_MODE = 0o600, 0o700

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
_Outcome = tuple[asyncio.Future[Any], Any, BaseException | None]


class SqliteThread:
    """Make it with `open`, in the event loop that uses it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[asyncio.Future[Any], Work[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="callback queue", daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, path: Path, schema: str) -> SqliteThread:
        """Raises `CannotOpenQueue`."""
        try:
            connection = await asyncio.to_thread(_connection, path, schema)
        except (OSError, sqlite3.Error) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise CannotOpenQueue(
                f"the callback queue {path} cannot be opened: {why}; give a file in a directory of the service's own"
            ) from None
        return cls(connection)

    async def run(self, work: Work[T], *ours: type[Exception]) -> T:
        """What `work` gives, once it is on the disk. Raises `QueueUnavailable`, and `ours` that `work` raises itself.

        Who is cancelled before his work has begun has it left undone.
        """
        future: asyncio.Future[T] = self._loop.create_future()

        def guarded(connection: sqlite3.Connection) -> T | Exception:
            try:
                return work(connection)
            except ours as error:
                return error

        self._jobs.put((future, guarded))
        result: T | Exception = await future
        if isinstance(result, ours):
            raise result
        return result  # type: ignore[return-value]

    def _run(self) -> None:
        ending = False
        while not ending:
            jobs = [self._jobs.get()]
            with contextlib.suppress(queue.Empty):
                while len(jobs) < _MOST_AT_ONCE:
                    jobs.append(self._jobs.get_nowait())
            ending = None in jobs
            outcomes = self._transaction([job for job in jobs if job is not None and not job[0].cancelled()])
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                self._loop.call_soon_threadsafe(_tell, outcomes)
        self._connection.close()

    def _transaction(self, jobs: list[tuple[asyncio.Future[Any], Work[Any]]]) -> list[_Outcome]:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes: list[_Outcome] = [(future, work(connection), None) for future, work in jobs]
            connection.execute("COMMIT")
        except Exception as error:
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            told = QueueUnavailable(str(error)) if isinstance(error, sqlite3.Error) else error
            return [(future, None, told) for future, _ in jobs]
        return outcomes

    async def close(self) -> None:
        """Ends what has been asked for."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)


def _tell(outcomes: list[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


def _connection(path: Path, schema: str) -> sqlite3.Connection:
    path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    path.touch(mode=_MODE)
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection
