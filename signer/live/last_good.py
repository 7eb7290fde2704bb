"""The last good definitions of a remote store, kept on disk for a start while it is away.

The texts are kept as they came: `${...}` are not filled in, so that no secret from the environment gets into the file.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from signer.atomic_write import replace
from signer.clock import utc_now
from signer.stores.file import FileStore
from signer.stores.protocol import Snapshot, Store

log = logging.getLogger("oss_signer.stores")

_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Copy:
    snapshot: Snapshot
    kept_at: datetime


class LastGood:
    def __init__(self, location: str, directory: Path) -> None:
        """One file for each location, so that signers of several stores may share a directory."""
        self._location = location
        self.file = directory / f"last-good-{hashlib.sha256(location.encode()).hexdigest()[:12]}.json"

    async def keep(self, snapshot: Snapshot) -> None:
        """Keeps this in the place of the former; when that fails, it is logged and the former stays."""
        try:
            await asyncio.to_thread(self._write, snapshot)
        except OSError as error:
            log.warning("no last good copy is kept", extra={"file": str(self.file), "error": error.strerror})

    async def read(self) -> Copy | None:
        """None when there is none, or none that can be read."""
        return await asyncio.to_thread(self._read)

    def _write(self, snapshot: Snapshot) -> None:
        kept = {
            "location": self._location,
            "revision": snapshot.revision,
            "kept_at": utc_now().isoformat(timespec="seconds"),
            "files": dict(snapshot.files),
        }
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(self.file, json.dumps(kept, ensure_ascii=False).encode(), mode=_MODE)

    def _read(self) -> Copy | None:
        try:
            kept = json.loads(self.file.read_bytes())
            files = {str(name): str(text) for name, text in kept["files"].items()}
            return Copy(Snapshot(files, str(kept["revision"])), datetime.fromisoformat(kept["kept_at"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            why = {"file": str(self.file), "error": type(error).__name__}
            log.warning("the last good copy cannot be read", extra=why)
            return None


def last_good(store: Store, directory: Path | None) -> LastGood | None:
    """None without a directory, and for files, which are on disk themselves."""
    return None if directory is None or isinstance(store, FileStore) else LastGood(store.location, directory)
