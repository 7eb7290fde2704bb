"""Detects changes of files, however an editor or a deployment replaces them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import TypeVar

from watchfiles import Change, awatch

from signer.stable_read import FilesKeepChanging, read_stable

log = logging.getLogger("oss_signer.stores")

POLL_SECONDS = 2.0
"""Files are polled as well, because network file systems send no events."""
_DEBOUNCE_MILLISECONDS = 100
_QUIET_SECONDS = 0.2
_MAX_WRITE_SECONDS = 5.0
"""How long the report of a change is delayed while the files are still being written."""

Identity = tuple[int, int]
"""Device and inode."""
Fingerprint = tuple[tuple[str, int, int, int, int, int], ...]

T = TypeVar("T")


class FileWatch:
    """Reads files and watches for changes since the last read."""

    def __init__(
        self,
        list_files: Callable[[], list[Path]],
        *,
        extra_directories: Callable[[], set[Path]] = set,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Create a watch that opens nothing yet.

        Args:
            list_files: returns the files; called again for each check.
            extra_directories: returns directories in which files may appear.
            poll_seconds: the interval for changes that the system does not report.
        """
        self._last_read: Fingerprint | None = None
        """The state of the files at the last read, even if their content was invalid; None: not read."""
        self._list_files = list_files
        self._extra_directories = extra_directories
        self._poll_seconds = poll_seconds
        self._warned = False

    def read(self, read: Callable[[], T]) -> T:
        """Call `read` for the files as they are at one moment, and watch for changes from that moment on; blocks.

        Raises:
            FilesKeepChanging: the files changed during every attempt.
        """
        try:
            return read_stable(read, self._remember_fingerprint)
        except FilesKeepChanging:
            self._last_read = None
            raise

    async def changes(self) -> AsyncIterator[None]:
        """Yield when the files differ from those of the last read; runs until it is closed.

        Checks on each event in their directories, and at the polling interval.
        """
        while True:
            directories = await asyncio.to_thread(self._watched_directories)
            async with contextlib.aclosing(self._wake_ups(directories)) as wake_ups:
                async for _ in wake_ups:
                    has_changed = await self._has_changed()
                    if has_changed:
                        yield
                    # A change can move the files to other directories. A directory that was replaced sends no events.
                    current = self._watched_directories if has_changed else partial(_identities, directories)
                    if await asyncio.to_thread(current) != directories:
                        break

    def _fingerprint(self) -> Fingerprint:
        """Return a value that changes with the files, their content and link targets; () if one is missing."""
        try:
            return tuple((str(file), *_file_state(file.stat())) for file in self._list_files())
        except OSError:
            return ()

    def _remember_fingerprint(self) -> Fingerprint:
        self._last_read = self._fingerprint()
        return self._last_read

    async def _has_changed(self) -> bool:
        """Return whether the files differ from those of the last read; wait while they are being written."""
        current = await asyncio.to_thread(self._fingerprint)
        if current == self._last_read:
            return False
        deadline = time.monotonic() + _MAX_WRITE_SECONDS
        former: Fingerprint | None = None
        while current != former and time.monotonic() < deadline:
            await asyncio.sleep(_QUIET_SECONDS)
            former, current = current, await asyncio.to_thread(self._fingerprint)
        return True

    async def _wake_ups(self, directories: Mapping[Path, Identity]) -> AsyncGenerator[None]:
        """Yield on each event in these directories, and at the polling interval; end when one is deleted."""
        try:
            async for changes in awatch(
                *directories,
                watch_filter=None,
                debounce=_DEBOUNCE_MILLISECONDS,
                rust_timeout=int(self._poll_seconds * 1000),
                yield_on_timeout=True,
                recursive=False,
            ):
                yield
                if any(change is Change.deleted and Path(path) in directories for change, path in changes):
                    # A new directory of that name is not watched, even if it has the same inode.
                    return
        except (OSError, RuntimeError) as error:
            # The system's limit of watches is reached, or a directory disappeared.
            if directories and not self._warned:
                self._warned = True
                log.warning("file events unavailable", extra={"poll_seconds": self._poll_seconds, "error": str(error)})
        while True:
            await asyncio.sleep(self._poll_seconds)
            yield

    def _watched_directories(self) -> dict[Path, Identity]:
        """Return the directories of the files and of their link targets.

        Editors replace files, Kubernetes replaces a link, and releases replace whole directories.
        """
        directories = self._extra_directories()
        with contextlib.suppress(OSError, RuntimeError):
            for file in self._list_files():
                directories |= {file.parent, file.resolve().parent}
        return _identities(directories)


def _file_state(stat: os.stat_result) -> tuple[int, int, int, int, int]:
    # Reading a pipe, such as --config <(...), changes its times.
    times = (stat.st_mtime_ns, stat.st_ctime_ns) if S_ISREG(stat.st_mode) else (0, 0)
    return (stat.st_dev, stat.st_ino, *times, stat.st_size)


def _identities(directories: Iterable[Path]) -> dict[Path, Identity]:
    """Return the identities of those directories that exist."""
    identities = {}
    for directory in directories:
        with contextlib.suppress(OSError):
            stat = directory.stat()
            identities[directory] = (stat.st_dev, stat.st_ino)
    return identities
