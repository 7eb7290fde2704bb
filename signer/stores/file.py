"""`--config PATH`: definitions in a file, or in a directory whose `*.yaml` are read together."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from functools import partial
from pathlib import Path
from stat import S_IMODE, S_ISREG

from watchfiles import Change, awatch

from signer.stores.one_text import split
from signer.stores.protocol import NOTHING, CannotRead, CannotWrite, ChangedMeanwhile, NothingThere, Snapshot
from signer.stores.replacing import lock, replace

log = logging.getLogger("oss_signer.stores")

MAX_FILE_BYTES = 16 * 2**20

_POLL_SECONDS = 2.0
"""Network file systems send no events, so the files are looked at as well."""
_DEBOUNCE_MILLISECONDS = 100
_QUIET_SECONDS = 0.2
_BUSY_SECONDS = 5.0
"""Who writes for longer than that is not waited for; the definitions are checked in any case."""
_NEW_FILE_MODE = 0o644
_READ_TRIES = 20
_READ_AGAIN_SECONDS = 0.05

Identity = tuple[int, int]
"""Device and inode."""
Fingerprint = tuple[tuple[str, int, int, int, int, int], ...]


class FileStore:
    def __init__(self, path: Path, *, poll_seconds: float = _POLL_SECONDS) -> None:
        self.location = str(path)
        self._path = path
        self._poll_seconds = poll_seconds
        self._seen: Fingerprint = ()
        """Of the files as they were last read, well or not."""
        self._told_of_no_events = False

    async def load(self) -> Snapshot:
        return await asyncio.to_thread(self.read)

    def read(self) -> Snapshot:
        """As `load`, for those who may block."""
        try:
            for _ in range(_READ_TRIES):
                self._seen = self._fingerprint()
                texts = {str(file): _text(file) for file in self._files()}
                if self._fingerprint() == self._seen:
                    return _snapshot(texts)
                # Files of two moments must not be mixed, as while Kubernetes swaps its link.
                time.sleep(_READ_AGAIN_SECONDS)
        except OSError as error:
            self._seen = self._fingerprint_or_none()
            kind = NothingThere if isinstance(error, FileNotFoundError) else CannotRead
            where = error.filename or self._path
            raise kind(f"{where}: {error.strerror}; say where the YAML is with --config") from None
        raise CannotRead(f"{self._path}: changes all the time while it is read; write it in one go")

    async def watch(self) -> AsyncIterator[None]:
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

    async def save(self, text: str, expected_revision: str | None) -> str:
        return await asyncio.to_thread(self._save, text, expected_revision)

    async def close(self) -> None: ...

    def _save(self, text: str, expected_revision: str | None) -> str:
        if self._path.is_dir():
            raise CannotWrite(f"{self._path}: is a directory; name the one file in it: --config {self._path}/NAME.yaml")
        file = self._path.resolve()  # behind a link, the link stays
        try:
            with lock(file.parent):
                if expected_revision is not None and expected_revision != self._revision():
                    raise ChangedMeanwhile(self.location)
                former = file.stat() if file.exists() else None
                mode = _NEW_FILE_MODE if former is None else S_IMODE(former.st_mode)
                owner = None if former is None else (former.st_uid, former.st_gid)
                replace(file, text.encode(), mode=mode, owner=owner)
        except BlockingIOError:
            raise CannotWrite(f"{self.location}: somebody else writes it just now; try again") from None
        except OSError as error:
            raise CannotWrite(f"{error.filename or file}: {error.strerror}") from None
        return self._revision()

    def _revision(self) -> str:
        try:
            return self.read().revision
        except NothingThere:
            return NOTHING
        except CannotRead as error:
            raise CannotWrite(str(error)) from None

    async def _changed(self) -> bool:
        """Whether the files are others than were read; waits until nobody writes them any more."""
        found = await asyncio.to_thread(self._fingerprint_or_none)
        if found == self._seen:
            return False
        until = time.monotonic() + _BUSY_SECONDS
        former: Fingerprint | None = None
        while found != former and time.monotonic() < until:
            await asyncio.sleep(_QUIET_SECONDS)
            former, found = found, await asyncio.to_thread(self._fingerprint_or_none)
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

    def _files(self) -> list[Path]:
        """In a directory without the hidden ones, which editors and copying programs keep there for a while."""
        if not self._path.is_dir():
            return [self._path]
        return sorted(file for file in self._path.glob("*.yaml") if not file.name.startswith("."))

    def _directories(self) -> dict[Path, Identity]:
        """Where a change may come from: editors replace files, Kubernetes swaps a link, releases swap directories."""
        found = {self._path.parent} | ({self._path} if self._path.is_dir() else set())
        with contextlib.suppress(OSError, RuntimeError):
            found |= {file.resolve().parent for file in self._files()}
        return _identities(found)

    def _fingerprint(self) -> Fingerprint:
        return tuple((str(file), *_state(file.stat())) for file in self._files())

    def _fingerprint_or_none(self) -> Fingerprint:
        try:
            return self._fingerprint()
        except OSError:
            return ()


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


def _snapshot(files: dict[str, str]) -> Snapshot:
    digest = hashlib.sha256()
    for name, text in files.items():
        digest.update(f"{name}\0{len(text)}\0{text}".encode())
    parts = {part: text for name, whole in files.items() for part, text in split(name, whole).items()}
    return Snapshot(parts, digest.hexdigest()[:16])


def _text(file: Path) -> str:
    with file.open("rb") as stream:
        data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise CannotRead(f"{file}: is larger than {MAX_FILE_BYTES // 2**20} MiB; split it into several files")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CannotRead(f"{file}: is no UTF-8 text at byte {error.start}; save it as UTF-8") from None
