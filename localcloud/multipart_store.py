"""Keeps the multipart uploads that are neither completed nor aborted. Their parts end with the process."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path

from localcloud.objects import Incoming
from localcloud.oss_errors import OssError


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    size_bytes: int
    md5: bytes
    crc64: int
    last_modified: str
    file: Path

    @property
    def etag(self) -> str:
        return f'"{self.md5.hex().upper()}"'


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """One upload, with what InitiateMultipartUpload has determined of its object."""

    id: str
    bucket: str
    key: str
    initiated: str
    content_type: str
    storage_class: str
    headers: dict[str, str]
    tags: dict[str, str]
    parts: dict[int, Part] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the upload changes: one of two requests that complete or abort it finds it gone."""


class MultipartUploads:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._uploads: dict[str, MultipartUpload] = {}

    def new_id(self) -> str:
        """Return an id of 32 characters. Later ids are greater."""
        return f"{time.time_ns() // 1000:016X}{secrets.token_hex(8).upper()}"

    def add(self, upload: MultipartUpload) -> None:
        self._uploads[upload.id] = upload

    def find(self, bucket: str, key: str, upload_id: str, ec: str = "") -> MultipartUpload:
        """Return the upload. Raise NoSuchUpload if it does not exist, or belongs to another bucket or key."""
        upload = self._uploads.get(upload_id)
        if upload is None or (upload.bucket, upload.key) != (bucket, key):
            message = (
                "The specified upload does not exist. "
                "The upload ID may be invalid, or the upload may have been aborted or completed."
            )
            raise OssError(404, "NoSuchUpload", message, ec, more=(("UploadId", upload_id),))
        return upload

    @contextlib.asynccontextmanager
    async def hold(self, bucket: str, key: str, upload_id: str, ec: str = "") -> AsyncIterator[MultipartUpload]:
        """Return the upload, which no other request changes meanwhile. Raise as `find` does."""
        async with self.find(bucket, key, upload_id, ec).lock:
            yield self.find(bucket, key, upload_id, ec)

    def list(self, bucket: str) -> list[MultipartUpload]:
        """Return the uploads to a bucket by key, then by id."""
        found = [each for each in self._uploads.values() if each.bucket == bucket]
        return sorted(found, key=lambda each: (each.key, each.id))

    def incoming(self) -> Incoming:
        self._directory.mkdir(parents=True, exist_ok=True)
        return Incoming(self._directory / f"{uuid.uuid4().hex}.incoming")

    def add_part(self, upload: MultipartUpload, number: int, incoming: Incoming, now: str) -> Part:
        """Store a received part, instead of an earlier one with its number."""
        file = incoming.path.with_suffix(".part")
        incoming.path.replace(file)
        part = Part(number, incoming.size_bytes, incoming.md5, incoming.crc64, now, file)
        if number in upload.parts:
            upload.parts[number].file.unlink()
        upload.parts[number] = part
        return part

    def remove(self, upload: MultipartUpload) -> None:
        """Forget the upload, so that its id is invalid from now on."""
        del self._uploads[upload.id]


def delete_parts(upload: MultipartUpload) -> None:
    """Delete the files of an upload that was removed. Blocking."""
    for part in upload.parts.values():
        part.file.unlink(missing_ok=True)


def etag_of(parts: list[Part]) -> str:
    """Return the ETag of a completed object: the MD5 of the joined MD5s of its parts, and their number."""
    digest = md5(b"".join(part.md5 for part in parts), usedforsecurity=False)
    return f'"{digest.hexdigest().upper()}-{len(parts)}"'
