"""Stores objects and their metadata on disk. File names are hashes of keys, so that no key can leave the directory."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import threading
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from localcloud.crc64 import crc64

_COPY_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    size_bytes: int
    content_type: str
    etag: str
    crc64: str
    last_modified: str
    acl: str = "default"
    storage_class: str = "Standard"
    object_type: str = "Normal"
    headers: dict[str, str] = field(default_factory=dict)
    """Cache-Control and similar headers, and x-oss-meta-*."""
    tags: dict[str, str] = field(default_factory=dict)
    symlink_target: str | None = None
    """The key that a symbolic link points to; None: it is no link."""


Check = Callable[[StoredObject | None], None]
"""Receives the object that another one is to replace, and raises an error if it may not."""


class Objects:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._index: dict[str, dict[str, StoredObject]] = {}
        for file in directory.glob("*/*.json"):
            stored = StoredObject(**json.loads(file.read_text(encoding="utf-8")))
            self._index.setdefault(file.parent.name, {})[stored.key] = stored

    def find(self, bucket: str, key: str) -> StoredObject | None:
        return self._index.get(bucket, {}).get(key)

    def list(self, bucket: str, prefix: str = "") -> list[StoredObject]:
        found = self._index.get(bucket, {})
        return [found[key] for key in sorted(found) if key.startswith(prefix)]

    def file(self, bucket: str, key: str) -> Path:
        return self._directory / bucket / hashlib.sha256(key.encode()).hexdigest()

    def incoming(self, bucket: str) -> Incoming:
        directory = self._directory / bucket
        directory.mkdir(parents=True, exist_ok=True)
        return Incoming(directory / f"{uuid.uuid4().hex}.part")

    def store(self, bucket: str, content: Path, stored: StoredObject, check: Check | None = None) -> None:
        """Make this file the object of this key, atomically, unless `check` raises an error. Blocking."""
        with self._lock:
            if check is not None:
                check(self.find(bucket, stored.key))
            self._describe(bucket, stored)
            content.replace(self.file(bucket, stored.key))
            self._index.setdefault(bucket, {})[stored.key] = stored

    def update(self, bucket: str, key: str, **changes: Any) -> None:
        """Change what is kept with the content of an object, if it exists. Blocking."""
        with self._lock:
            if (current := self.find(bucket, key)) is not None:
                self._index[bucket][key] = replace(current, **changes)
                self._describe(bucket, self._index[bucket][key])

    def _describe(self, bucket: str, stored: StoredObject) -> None:
        text = json.dumps(asdict(stored), ensure_ascii=False)
        self.file(bucket, stored.key).with_suffix(".json").write_text(text, encoding="utf-8")

    def delete(self, bucket: str, key: str) -> None:
        with self._lock:
            if self._index.get(bucket, {}).pop(key, None) is not None:
                path = self.file(bucket, key)
                path.unlink(missing_ok=True)
                path.with_suffix(".json").unlink(missing_ok=True)


class Incoming:
    """A file that is being received. It is deleted at the end unless it was moved to its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._crc = crc64()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._file: BinaryIO = path.open("wb")

    @property
    def crc64(self) -> int:
        return int(self._crc.crcValue)

    @property
    def md5(self) -> bytes:
        return self._md5.digest()

    async def write(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        await asyncio.to_thread(self._write, chunk)

    def _write(self, chunk: bytes) -> None:
        self._crc.update(chunk)
        self._md5.update(chunk)
        self._file.write(chunk)

    def append(self, file: Path) -> None:
        """Append the content of a file, without its CRC and MD5. Blocking."""
        with file.open("rb") as source:
            shutil.copyfileobj(source, self._file, _COPY_BYTES)

    def finish(self, *, durable: bool = True) -> None:
        """Write everything to the file and, if it must survive a power failure, to the disk. Blocking."""
        self._file.flush()
        if durable:
            os.fsync(self._file.fileno())

    def __enter__(self) -> Incoming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)
