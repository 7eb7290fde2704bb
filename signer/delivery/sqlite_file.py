"""The SQLite file of a queue: opened at its first use and again after errors, and replaced when it is corrupt."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from signer.atomic_write import lock_directory, sync_directory
from signer.circuit_breaker import backoff_seconds

log = logging.getLogger("oss_signer.callbacks")

_LOCK_TIMEOUT_SECONDS = 1.0
"""How long to wait for the transaction of another process."""
_FILE_MODE, _DIRECTORY_MODE = 0o600, 0o700
_FIRST_RETRY_SECONDS, _MAX_RETRY_SECONDS = 0.5, 15.0
"""The delay before the file is opened again after an error."""
_LOOK_INTERVAL_SECONDS = 60.0
_WAL_SUFFIXES = ("-wal", "-shm")
_JOURNAL_SUFFIX = "-journal"
"""Of the files that belong to a database. See: https://www.sqlite.org/tempfiles.html"""
_CORRUPT, _FRESH = ".corrupt-", ".new"
_CORRUPTION_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_HARMLESS_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)
"""After these, the connection can be used again."""

Salvage = Callable[[sqlite3.Connection, sqlite3.Connection], int]
"""Copies what can be read of a corrupt database into another one, and returns the number of events."""


class CorruptFile(Exception):
    """The content of the file is not that of a queue; the text is the first fault that was found."""


class FileReplaced(Exception):
    """The file at the path is not the open one any more."""


class FileNotOpen(Exception):
    """The file could not be opened, and it is not yet time to try again; the text is the reason."""


class SqliteFile:
    """A file and the connection to it. Only one thread may use it."""

    def __init__(self, path: Path, schema: str, salvage: Salvage) -> None:
        self.corrupt_files: tuple[str, ...] = ()
        """The paths of corrupt files that were moved aside and still exist."""
        self._path = path
        self._schema = schema
        self._salvage = salvage
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._fault = ""
        """What is corrupt in the file; empty if nothing is known to be."""
        self._failures = 0
        self._opens_at = 0.0
        self._open_error = ""
        self._looked_at = float("-inf")

    def connection(self) -> sqlite3.Connection:
        """Return the connection. Open the file first where it is closed, and replace it where it is corrupt.

        Raises `FileNotOpen`, or what made opening the file fail.
        """
        if self._connection is None:
            if time.monotonic() < self._opens_at:
                raise FileNotOpen(self._open_error)
            try:
                self._connection = self._open()
            except Exception as error:
                self._delay_opening(error)
                raise
        if time.monotonic() - self._looked_at > _LOOK_INTERVAL_SECONDS:
            self._find_corrupt_files()
        return self._connection

    def check_identity(self) -> None:
        """Raise `FileReplaced` if the path names another file than the open one, or none. Call it in a transaction."""
        if _identity(self._path) != self._identity:
            raise FileReplaced

    def record_success(self) -> None:
        """Open the file without delay after the next error."""
        self._failures = 0

    def record_error(self, error: BaseException) -> None:
        """Close the connection after an error of an operation that may last as long as the connection."""
        if is_corruption(error):
            self._fault = str(error)
            self.close()
        elif isinstance(error, FileReplaced):
            log.warning("callback queue file replaced", extra={"file": str(self._path)})
            self.close()
        elif isinstance(error, sqlite3.Error) and _primary_code(error) not in _HARMLESS_CODES:
            self.close()
            self._delay_opening(error)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _delay_opening(self, error: BaseException) -> None:
        self._failures += 1
        delay = backoff_seconds(self._failures, first_seconds=_FIRST_RETRY_SECONDS, max_seconds=_MAX_RETRY_SECONDS)
        self._opens_at = time.monotonic() + delay
        self._open_error = describe(error)

    def _open(self) -> sqlite3.Connection:
        if not self._fault:
            try:
                return self._connect()
            except Exception as error:
                if not is_corruption(error):
                    raise
                self._fault = str(error)
        self._replace()
        self._fault = ""
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        with lock_directory(self._path.parent, wait=True):
            self._path.touch(mode=_FILE_MODE)
            self._identity = _identity(self._path)
            connection = _connect(self._path, self._schema)
        try:
            [first_result, *_] = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if first_result != "ok":
                raise CorruptFile(str(first_result))
        except BaseException:
            connection.close()
            raise
        self._find_corrupt_files()
        return connection

    def _replace(self) -> None:
        """Move the corrupt file aside, and put a new one with the events that can be read in its place."""
        moved_to = self._path.with_name(f"{self._path.name}{_CORRUPT}{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        with lock_directory(self._path.parent, wait=True):
            if _identity(self._path) != self._identity:
                return  # Another process has replaced it.
            if moved_to.exists():
                raise FileExistsError(f"{moved_to} exists")
            salvaged_events = self._move_aside(moved_to)
        self._find_corrupt_files()
        fields = {
            "file": str(self._path),
            "reason": self._fault,
            "moved_to": str(moved_to),
            "salvaged_events": salvaged_events,
            "fix": "check the disk; then delete the file that was moved",
        }
        log.error("callback queue file corrupt", extra=fields)

    def _move_aside(self, moved_to: Path) -> int:
        fresh_path = self._path.with_name(self._path.name + _FRESH)
        _delete(fresh_path)
        fresh_path.touch(mode=_FILE_MODE)
        # The write lock on the corrupt file is held until both files have their new names: a process that still has it
        # open cannot add an event that would never be delivered.
        with contextlib.closing(_connect_to_corrupt(self._path)) as corrupt:
            try:
                # Without WAL, whose file would belong to the former name.
                with contextlib.closing(_connect(fresh_path, self._schema, journal_mode="DELETE")) as fresh:
                    salvaged_events = self._salvage(corrupt, fresh)
                for suffix in (*_WAL_SUFFIXES, ""):
                    with contextlib.suppress(FileNotFoundError):
                        Path(f"{self._path}{suffix}").rename(f"{moved_to}{suffix}")
                fresh_path.rename(self._path)
            except BaseException:
                _delete(fresh_path)
                raise
        sync_directory(self._path.parent)
        return salvaged_events

    def _find_corrupt_files(self) -> None:
        self._looked_at = time.monotonic()
        prefix = self._path.name + _CORRUPT
        with contextlib.suppress(OSError):
            names = [each.name for each in self._path.parent.iterdir() if each.name.startswith(prefix)]
            self.corrupt_files = tuple(
                str(self._path.with_name(name)) for name in sorted(names) if not name.endswith(_WAL_SUFFIXES)
            )


def is_corruption(error: BaseException) -> bool:
    """Return whether an error shows that the file is corrupt."""
    return isinstance(error, CorruptFile) or (
        isinstance(error, sqlite3.Error) and _primary_code(error) in _CORRUPTION_CODES
    )


def describe(error: BaseException) -> str:
    """Return the reason of an error as text."""
    if isinstance(error, sqlite3.Error) and _primary_code(error) == sqlite3.SQLITE_FULL:
        return "the disk is full"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _primary_code(error: sqlite3.Error) -> int:
    """Return the code of SQLite; 0 for an error of Python's module."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _connect(path: Path, schema: str, *, journal_mode: str = "WAL") -> sqlite3.Connection:
    connection = _new_connection(path)
    try:
        connection.execute(f"PRAGMA journal_mode={journal_mode}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_corrupt(path: Path) -> sqlite3.Connection:
    """Return a connection in a transaction, if the file is sound enough for one."""
    connection = _new_connection(path)
    try:
        # Otherwise, nothing can be read of a file that was truncated. See: https://www.sqlite.org/pragma.html
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        if not is_corruption(error):
            connection.close()
            raise
    return connection


def _new_connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
    connection.text_factory = _decode
    return connection


def _decode(text: bytes) -> str:
    """Decode what a corrupt file contains, too; the content is checked later."""
    return text.decode(errors="replace")


def _delete(database: Path) -> None:
    for suffix in ("", *_WAL_SUFFIXES, _JOURNAL_SUFFIX):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
