"""Sees at once when files are others than they were read, however they were replaced."""

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
"""Network file systems send no events, so the files are looked at as well."""
_DEBOUNCE_MILLISECONDS = 100
_QUIET_SECONDS = 0.2
_BUSY_SECONDS = 5.0
"""Who writes for longer than that is not waited for; what is there is looked at in any case."""

Identity = tuple[int, int]
"""Device and inode."""
Fingerprint = tuple[tuple[str, int, int, int, int, int], ...]

T = TypeVar("T")


class FileWatch:
    def __init__(
        self,
        files: Callable[[], list[Path]],
        *,
        also: Callable[[], set[Path]] = set,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """`files` says which, anew each time; `also` names directories in which some may appear."""
        self._last_read: Fingerprint | None = None
        """The state of the files when they were last read, even if they were invalid; None: no stable read."""
        self._files = files
        self._also = also
        self._poll_seconds = poll_seconds
        self._told_of_no_events = False

    def read(self, read: Callable[[], T]) -> T:
        """Call `read` for the files as they are at one moment, and watch for changes from that moment on; blocks.

        Raises:
            FilesKeepChanging: the files changed during every attempt.
        """
        try:
            return read_stable(read, self._remember)
        except FilesKeepChanging:
            self._last_read = None
            raise

    def _remember(self) -> Fingerprint:
        self._last_read = self._fingerprint()
        return self._last_read

    def _fingerprint(self) -> Fingerprint:
        """Return a value that changes with the files, their contents and the targets of links; () if one is missing."""
        try:
            return tuple((str(file), *_state(file.stat())) for file in self._files())
        except OSError:
            return ()

    async def changes(self) -> AsyncIterator[None]:
        """Looks when the system tells of a change near the files, and every few seconds in any case."""
        while True:
            directories = await asyncio.to_thread(self._directories)
            async with contextlib.aclosing(self._occasions(directories)) as occasions:
                async for _ in occasions:
                    changed = await self._changed()
                    if changed:
                        yield
                    # Others may be where the files are now, and a directory that was replaced sends us no events.
                    near = self._directories if changed else partial(_identities, directories)
                    if await asyncio.to_thread(near) != directories:
                        break

    async def _changed(self) -> bool:
        """Whether the files are others than were read; waits until nobody writes them any more."""
        found = await asyncio.to_thread(self._fingerprint)
        if found == self._last_read:
            return False
        until = time.monotonic() + _BUSY_SECONDS
        former: Fingerprint | None = None
        while found != former and time.monotonic() < until:
            await asyncio.sleep(_QUIET_SECONDS)
            former, found = found, await asyncio.to_thread(self._fingerprint)
        return True

    async def _occasions(self, directories: Mapping[Path, Identity]) -> AsyncGenerator[None]:
        """Yields at each event in one of these directories, and `poll_seconds` after the last."""
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
                    # One that is made anew is not watched, though it may have the inode of the former.
                    return
        except (OSError, RuntimeError) as error:
            # The system's limit of watches may be used up, or a directory is gone just now.
            if directories and not self._told_of_no_events:
                self._told_of_no_events = True
                log.warning(f"no events of changed files; looking every {self._poll_seconds:g} s: {error}")
        while True:
            await asyncio.sleep(self._poll_seconds)
            yield

    def _directories(self) -> dict[Path, Identity]:
        """Where a change may come from: editors replace files, Kubernetes swaps a link, releases swap directories."""
        found = self._also()
        with contextlib.suppress(OSError, RuntimeError):
            for file in self._files():
                found |= {file.parent, file.resolve().parent}
        return _identities(found)


def _state(stat: os.stat_result) -> tuple[int, int, int, int, int]:
    # The times of a pipe, as in --config <(...), change by being read.
    times = (stat.st_mtime_ns, stat.st_ctime_ns) if S_ISREG(stat.st_mode) else (0, 0)
    return (stat.st_dev, stat.st_ino, *times, stat.st_size)


def _identities(directories: Iterable[Path]) -> dict[Path, Identity]:
    """Of those that are there."""
    found = {}
    for directory in directories:
        with contextlib.suppress(OSError):
            stat = directory.stat()
            found[directory] = (stat.st_dev, stat.st_ino)
    return found
