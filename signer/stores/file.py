"""`--config PATH`: definitions in a file, or in a directory whose `*.yaml` are read together."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from watchfiles import awatch

from signer.stores.protocol import CannotRead, Snapshot

MAX_FILE_BYTES = 16 * 2**20

_POLL_SECONDS = 2.0
"""Network file systems send no events, so the files are looked at as well."""
_DEBOUNCE_MILLISECONDS = 100

Fingerprint = tuple[tuple[str, int, int, int], ...]


class FileStore:
    def __init__(self, path: Path, *, poll_seconds: float = _POLL_SECONDS) -> None:
        self.location = str(path)
        self._path = path
        self._poll_seconds = poll_seconds
        self._seen: Fingerprint = ()

    async def load(self) -> Snapshot:
        return await asyncio.to_thread(self.read)

    def read(self) -> Snapshot:
        """As `load`, for those who may block."""
        try:
            self._seen = self._fingerprint()
            return _snapshot({str(file): _text(file) for file in self._files()})
        except OSError as error:
            where = error.filename or self._path
            raise CannotRead(f"{where}: {error.strerror}; say where the YAML is with --config") from None

    async def watch(self) -> AsyncIterator[None]:
        """Looks at the directory: editors replace files, and Kubernetes swaps the link that its files are behind."""
        directory = self._path if self._path.is_dir() else self._path.parent
        seen = self._seen
        async for _ in awatch(
            directory,
            debounce=_DEBOUNCE_MILLISECONDS,
            rust_timeout=int(self._poll_seconds * 1000),
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
        ):
            found = await asyncio.to_thread(self._fingerprint_or_none)
            if found != seen:
                seen = found
                yield

    async def close(self) -> None: ...

    def _files(self) -> Iterable[Path]:
        return sorted(self._path.glob("*.yaml")) if self._path.is_dir() else [self._path]

    def _fingerprint(self) -> Fingerprint:
        stats = ((str(file), file.stat()) for file in self._files())
        return tuple((name, stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in stats)

    def _fingerprint_or_none(self) -> Fingerprint:
        try:
            return self._fingerprint()
        except OSError:
            return ()


def _snapshot(files: dict[str, str]) -> Snapshot:
    digest = hashlib.sha256()
    for name, text in files.items():
        digest.update(f"{name}\0{len(text)}\0{text}".encode())
    return Snapshot(files, digest.hexdigest()[:16])


def _text(file: Path) -> str:
    with file.open("rb") as stream:
        data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise CannotRead(f"{file}: is larger than {MAX_FILE_BYTES // 2**20} MiB; split it into several files")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CannotRead(f"{file}: is no UTF-8 text at byte {error.start}; save it as UTF-8") from None
