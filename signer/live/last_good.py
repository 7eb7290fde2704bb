"""Keeps a copy of the last good definitions of a remote store on disk, for a start while the store is unreadable.

The texts are stored as they were read, with `${...}` unresolved, so that no secret from the environment is in the file.
"""

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ValidationError

from signer.atomic_write import replace_file
from signer.clock import utc_now
from signer.file_calls import await_with_deadline
from signer.regular_file import read_regular_file
from signer.stores.file import FileStore
from signer.stores.protocol import Snapshot, Store

log = logging.getLogger("oss_signer.stores")

_MODE = 0o600
_MAX_BYTES = 64 * 2**20


class CannotUseCopy(Exception):
    """There is no last good copy, or it cannot be used; the text names the file and the reason."""


class _Content(BaseModel):
    revision: str
    saved_at: AwareDatetime
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class LastGoodCopy:
    """Definitions that were valid, and when they were saved."""

    snapshot: Snapshot
    saved_at: datetime


class LastGoodFile:
    """The file with the last good copy of one store."""

    def __init__(self, location: str, directory: Path) -> None:
        """Choose a file name for the store at `location`, so that signers of several stores can share a directory."""
        self._location = location
        self.path = directory / f"last-good-{hashlib.sha256(location.encode()).hexdigest()[:12]}.json"

    async def write(self, snapshot: Snapshot) -> None:
        """Replace the copy; if that fails, log it and keep the former one."""
        try:
            await await_with_deadline(self.path, lambda: self._write(snapshot))
        except OSError as error:
            log.warning("last good copy not written", extra={"file": str(self.path), "error": error.strerror})

    async def read(self) -> LastGoodCopy:
        """Return the copy, or raise `CannotUseCopy`."""
        try:
            data = await await_with_deadline(self.path, lambda: read_regular_file(self.path, max_bytes=_MAX_BYTES))
            # pydantic rejects whatever json.loads accepts and other code does not, such as half of a surrogate pair.
            content = _Content.model_validate_json(data)
        except FileNotFoundError:
            raise CannotUseCopy(f"there is no last good copy: {self.path}") from None
        except OSError as error:
            raise CannotUseCopy(f"the last good copy cannot be read: {self.path}: {error.strerror}") from None
        except ValidationError:
            raise CannotUseCopy(f"the last good copy is damaged: {self.path}; remove it") from None
        return LastGoodCopy(Snapshot(content.files, content.revision), content.saved_at)

    def _write(self, snapshot: Snapshot) -> None:
        saved_at = utc_now().isoformat(timespec="seconds")
        content = {"location": self._location, "revision": snapshot.revision, "saved_at": saved_at}
        text = json.dumps({**content, "files": dict(snapshot.files)}, ensure_ascii=False)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self.path, text.encode(), mode=_MODE)


def last_good_file(store: Store, directory: Path | None) -> LastGoodFile | None:
    """Return where to keep the last good copy; None without a directory, and for a store that is itself on disk."""
    return None if directory is None or isinstance(store, FileStore) else LastGoodFile(store.location, directory)
