"""Reads files as they were at one moment, and detects later changes, however an editor or a deployment makes them.

Polling finds all of them alike: files that are replaced, the links of a Kubernetes ConfigMap, and edits made on another
machine, for which a network file system sends no events.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from signer.stores.polling import poll

POLL_SECONDS = 1.0
_READ_ATTEMPTS = 20
_RETRY_SECONDS = 0.05
_QUIET_SECONDS = 0.2
_MAX_WRITE_SECONDS = 5.0
"""How long the report of a change is delayed while the files are still being written."""

T = TypeVar("T")

_Fingerprint = tuple[tuple[str, int, int, int, int, int], ...] | None


class FilesKeepChanging(Exception):
    """The files changed during each attempt to read them."""


class FilePoller:
    """Reads files and detects changes since the last read; calls `list_files` again for each check."""

    def __init__(self, list_files: Callable[[], list[str]], *, poll_seconds: float = POLL_SECONDS) -> None:
        self._list_files = list_files
        self._poll_seconds = poll_seconds
        self._last_read: _Fingerprint = None

    def read(self, read: Callable[[], T]) -> T:
        """Call `read` until the files are the same before and after it, else raise `FilesKeepChanging`; blocks.

        Otherwise a read could mix files of two versions, for example while Kubernetes replaces the link of a
        ConfigMap. An exception of `read` counts only if the files did not change meanwhile.
        """
        for attempt in range(_READ_ATTEMPTS):
            if attempt:
                time.sleep(_RETRY_SECONDS)
            self._last_read = self._fingerprint()
            try:
                result = read()
            except Exception:
                if self._fingerprint() == self._last_read:
                    raise
            else:
                if self._fingerprint() == self._last_read:
                    return result
        self._last_read = None
        raise FilesKeepChanging

    def changes(self) -> AsyncIterator[None]:
        """Yield when the files differ from those of the last read; runs until it is closed."""
        return poll(self._has_changed, self._poll_seconds)

    def _fingerprint(self) -> _Fingerprint:
        """Return a value that changes with the files, their content and link targets; None if one is missing."""
        try:
            states = [(file, Path(file).stat()) for file in self._list_files()]
        except OSError:
            return None
        return tuple((file, s.st_dev, s.st_ino, s.st_mtime_ns, s.st_ctime_ns, s.st_size) for file, s in states)

    async def _has_changed(self) -> bool:
        """Compare the files with those of the last read; if they differ, wait while they are being written."""
        current = await asyncio.to_thread(self._fingerprint)
        if current == self._last_read:
            return False
        deadline = time.monotonic() + _MAX_WRITE_SECONDS
        while time.monotonic() < deadline:
            await asyncio.sleep(_QUIET_SECONDS)
            former, current = current, await asyncio.to_thread(self._fingerprint)
            if current == former:
                break
        return current != self._last_read
