"""Reads files without mixing two versions of them, and detects changes by polling.

Polling finds all changes: in files that are replaced, in the links of a Kubernetes ConfigMap, and those made on another
machine, for which a network file system sends no events.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar, cast

from signer.file_calls import await_with_deadline, extend_deadline
from signer.stores.polling import poll

POLL_SECONDS = 1.0
_READ_ATTEMPTS = 20
_RETRY_SECONDS = 0.05
_QUIET_SECONDS = 0.2
_MAX_WRITE_SECONDS = 5.0
"""The longest time that the report of a change is delayed while the files are still being written."""

T = TypeVar("T")

_FileState = tuple[str, int, int, int, int, int]
_Fingerprint = list[_FileState] | None


class FilesKeepChanging(Exception):
    """The files changed during each attempt to read them."""


class FilePoller:
    """Reads files and detects changes since the last read; calls `list_files` again for each check."""

    def __init__(self, list_files: Callable[[], list[str]], *, poll_seconds: float = POLL_SECONDS) -> None:
        self._list_files = list_files
        self._poll_seconds = poll_seconds
        self._last_fingerprint: _Fingerprint = None

    async def read(self, read_files: Callable[[], T]) -> T:
        """Call `read_files`, which may block, until the files are the same before and after it.

        Otherwise a read could mix files of two versions, for example while Kubernetes replaces the link of a
        ConfigMap. An exception of `read_files` counts only if the files did not change meanwhile.

        Raises:
            FilesKeepChanging: the files changed during each of many attempts.
            FileSystemHangs: see `await_with_deadline`; once the file system responds, the next poll reports a change.
        """
        self._last_fingerprint = None
        self._last_fingerprint, result, error = await self.call(lambda: self._read(read_files))
        if error is not None:
            raise error
        return cast(T, result)

    def forget(self) -> None:
        """Report a change at each poll at which the files exist, until they are read again.

        Call it after a read that failed for a reason outside the files' content: such a reason may disappear without a
        change of the files.
        """
        self._last_fingerprint = None

    def changes(self) -> AsyncIterator[None]:
        """Yield when the files differ from those of the last read; runs until it is closed."""
        return poll(self._has_changed, self._poll_seconds)

    async def call(self, function: Callable[[], T]) -> T:
        """Call a function that reads or writes the files; calls run one at a time. See `await_with_deadline`."""
        return await await_with_deadline(self, function)

    def _read(self, read_files: Callable[[], T]) -> tuple[_Fingerprint, T | None, Exception | None]:
        """Return the fingerprint and the outcome of `read_files`. Changes nothing: it may run beyond its deadline."""
        for attempt in range(_READ_ATTEMPTS):
            if attempt:
                time.sleep(_RETRY_SECONDS)
            before = self._fingerprint()
            result, error = None, None
            try:
                result = read_files()
            except Exception as raised:
                error = raised
            if self._fingerprint() == before:
                return before, result, error
        raise FilesKeepChanging

    def _fingerprint(self) -> _Fingerprint:
        """Return a value that changes with the files, their content and link targets; None if one is missing."""
        result: list[_FileState] = []
        try:
            for file in self._list_files():
                status = Path(file).stat()
                version = status.st_mtime_ns, status.st_ctime_ns, status.st_size
                result.append((file, status.st_dev, status.st_ino, *version))
                extend_deadline()
        except OSError:
            return None
        return result

    async def _has_changed(self) -> bool:
        """Compare the files with those of the last read; if they differ, wait while they are being written."""
        current = await self._current_fingerprint()
        if current == self._last_fingerprint:
            return False
        deadline = time.monotonic() + _MAX_WRITE_SECONDS
        while time.monotonic() < deadline:
            await asyncio.sleep(_QUIET_SECONDS)
            former, current = current, await self._current_fingerprint()
            if current == former:
                break
        return current != self._last_fingerprint

    async def _current_fingerprint(self) -> _Fingerprint:
        try:
            return await self.call(self._fingerprint)
        except OSError:  # Its file system hangs, for example. A load then reports the reason.
            return None
