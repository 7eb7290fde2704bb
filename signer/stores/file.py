"""`--config PATH`: definitions in a file, or in all `*.yaml` and `*.yml` of a directory."""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from stat import S_IMODE

from signer.atomic_write import lock_directory, replace_file
from signer.file_calls import extend_deadline, fix_for
from signer.regular_file import read_regular_file
from signer.stores import bundle
from signer.stores.file_polling import POLL_SECONDS, FilePoller, FilesKeepChanging
from signer.stores.protocol import EMPTY_REVISION, CannotRead, CannotWrite, RevisionConflict, Snapshot, StoreIsEmpty

_NEW_FILE_MODE = 0o644


class FileStore:
    """A file or a directory."""

    def __init__(self, path: Path, *, poll_seconds: float = POLL_SECONDS) -> None:
        self.location = _printable(path)
        self._path = path
        self._poller = FilePoller(self._files, poll_seconds=poll_seconds)

    async def load(self) -> Snapshot:
        """Return the definitions; see `Store.load`."""
        try:
            return await self._poller.read(self._read_snapshot)
        except OSError as error:
            self._poller.forget()
            raise self._explain(error) from None
        except FilesKeepChanging:
            raise CannotRead(f"{self.location}: changes while it is read; replace the file atomically") from None

    def watch(self) -> AsyncIterator[None]:
        """Yield when the files changed; see `Store.watch`."""
        return self._poller.changes()

    async def save(self, text: str, expected_revision: str | None) -> str:
        """Replace the file; see `WritableStore.save`."""
        try:
            revision = await self._poller.call(lambda: self._save(text, expected_revision))
        except OSError as error:
            fix = fix_for(error, "try again")
            raise CannotWrite(f"{self.location}: {error.strerror}; {fix}") from None
        return revision

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    def _save(self, text: str, expected_revision: str | None) -> str:
        if self._path.is_dir():
            raise CannotWrite(f"{self.location}: is a directory; name a file in it: --config {self.location}/NAME.yaml")
        file = self._path.resolve()  # replaces the target of a link, not the link
        try:
            with lock_directory(file.parent):
                if expected_revision is not None and expected_revision != self._current_revision():
                    raise RevisionConflict(self.location)
                former = file.stat() if file.exists() else None
                mode = _NEW_FILE_MODE if former is None else S_IMODE(former.st_mode)
                owner = None if former is None else (former.st_uid, former.st_gid)
                replace_file(file, text.encode(), mode=mode, owner=owner)
        except BlockingIOError:
            raise CannotWrite(f"{self.location}: another process is writing it; try again") from None
        except OSError as error:
            raise CannotWrite(
                f"{_printable(error.filename or file)}: {error.strerror}; check its path and permissions"
            ) from None
        return self._current_revision()

    def _current_revision(self) -> str:
        try:
            return _snapshot({self.location: _read_text(str(self._path))}).revision
        except FileNotFoundError:
            return EMPTY_REVISION
        except OSError as error:
            raise self._explain(error) from None

    def _explain(self, error: OSError) -> CannotRead:
        kind = StoreIsEmpty if isinstance(error, FileNotFoundError) else CannotRead
        fix = fix_for(error, "give the path of the YAML with --config")
        return kind(f"{_printable(error.filename or self._path)}: {error.strerror}; {fix}")

    def _files(self) -> list[str]:
        """Return the file or those of the directory, without hidden ones: editors create these temporarily."""
        if not self._path.is_dir():
            return [str(self._path)]
        with os.scandir(self._path) as entries:  # much faster than glob for thousands of files
            return sorted(
                each.path for each in entries if each.name.endswith((".yaml", ".yml")) and each.name[0] != "."
            )

    def _read_snapshot(self) -> Snapshot:
        return _snapshot({_printable(file): _read_text(file) for file in self._files()})


def _printable(path: str | Path) -> str:
    """Return a path as text that can be printed: its bytes may not be UTF-8, and the locale may have no characters."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _read_text(file: str) -> str:
    data = read_regular_file(Path(file), max_bytes=bundle.MAX_BYTES)
    extend_deadline()
    return bundle.decode(_printable(file), data)


def _snapshot(texts: dict[str, str]) -> Snapshot:
    digest = hashlib.sha256()
    for name, text in texts.items():
        digest.update(f"{name}\0{len(text)}\0{text}".encode())
    files = {file: part for name, text in texts.items() for file, part in bundle.split_files(name, text).items()}
    return Snapshot(files, digest.hexdigest()[:16])
