"""`--config PATH`: definitions in a file, or in a directory whose `*.yaml` are read together."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from stat import S_IMODE

from signer.atomic_write import lock_directory, replace_file
from signer.stable_read import FilesKeepChanging
from signer.stores.bundle import split
from signer.stores.file_watch import POLL_SECONDS, FileWatch
from signer.stores.protocol import NOTHING, CannotRead, CannotWrite, ChangedMeanwhile, NothingThere, Snapshot

MAX_FILE_BYTES = 16 * 2**20

_NEW_FILE_MODE = 0o644


class FileStore:
    def __init__(self, path: Path, *, poll_seconds: float = POLL_SECONDS) -> None:
        self.location = str(path)
        self._path = path
        self._watch = FileWatch(self._files, also=self._places, poll_seconds=poll_seconds)

    async def load(self) -> Snapshot:
        return await asyncio.to_thread(self.read)

    def read(self) -> Snapshot:
        """As `load`, for those who may block."""
        try:
            return _snapshot(self._watch.read(self._texts))
        except OSError as error:
            kind = NothingThere if isinstance(error, FileNotFoundError) else CannotRead
            where = error.filename or self._path
            raise kind(f"{where}: {error.strerror}; give the path of the YAML with --config") from None
        except FilesKeepChanging:
            raise CannotRead(f"{self._path}: changes while it is read; replace the file atomically") from None

    def watch(self) -> AsyncIterator[None]:
        return self._watch.changes()

    async def save(self, text: str, expected_revision: str | None) -> str:
        return await asyncio.to_thread(self._save, text, expected_revision)

    async def close(self) -> None: ...

    def _save(self, text: str, expected_revision: str | None) -> str:
        if self._path.is_dir():
            raise CannotWrite(f"{self._path}: is a directory; name the one file in it: --config {self._path}/NAME.yaml")
        file = self._path.resolve()  # behind a link, the link stays
        try:
            with lock_directory(file.parent):
                if expected_revision is not None and expected_revision != self._revision():
                    raise ChangedMeanwhile(self.location)
                former = file.stat() if file.exists() else None
                mode = _NEW_FILE_MODE if former is None else S_IMODE(former.st_mode)
                owner = None if former is None else (former.st_uid, former.st_gid)
                replace_file(file, text.encode(), mode=mode, owner=owner)
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

    def _files(self) -> list[Path]:
        """In a directory without the hidden ones, which editors and copying programs keep there for a while."""
        if not self._path.is_dir():
            return [self._path]
        return sorted(file for file in self._path.glob("*.yaml") if not file.name.startswith("."))

    def _texts(self) -> dict[str, str]:
        return {str(file): _text(file) for file in self._files()}

    def _places(self) -> set[Path]:
        return {self._path.parent} | ({self._path} if self._path.is_dir() else set())


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
