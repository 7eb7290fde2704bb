"""One multipart upload, call by call, with Alibaba's SDK."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any

import alibabacloud_oss_v2 as oss
from alibabacloud_oss_v2.aio import AsyncClient

KEY = "视频/a b+c~&%.mp4"
PART = os.urandom(100 * 1024)
LAST = b"the last part may be small"


@dataclass
class Uploading:
    """One upload by the SDK."""

    sdk: AsyncClient
    key: str = KEY
    id: str = ""
    etags: dict[int, str] = field(default_factory=dict)

    async def start(self, **members: Any) -> Uploading:
        request = oss.InitiateMultipartUploadRequest(bucket="photos", key=self.key, **members)
        self.id = (await self.sdk.initiate_multipart_upload(request)).upload_id
        return self

    async def put(self, number: int, body: bytes = PART, **members: Any) -> Any:
        request = oss.UploadPartRequest(
            bucket="photos", key=self.key, upload_id=self.id, part_number=number, body=body, **members
        )
        stored = await self.sdk.upload_part(request)
        self.etags[number] = stored.etag
        return stored

    async def complete(self, parts: list[tuple[int, str]] | None = None, **members: Any) -> Any:
        chosen = sorted(self.etags.items()) if parts is None else parts
        listed = [oss.UploadPart(part_number=number, etag=etag) for number, etag in chosen]
        body = oss.CompleteMultipartUpload(parts=listed) if listed else None
        request = oss.CompleteMultipartUploadRequest(
            bucket="photos", key=self.key, upload_id=self.id, complete_multipart_upload=body, **members
        )
        return await self.sdk.complete_multipart_upload(request)

    async def abort(self) -> Any:
        request = oss.AbortMultipartUploadRequest(bucket="photos", key=self.key, upload_id=self.id)
        return await self.sdk.abort_multipart_upload(request)

    async def list(self, **members: Any) -> Any:
        request = oss.ListPartsRequest(bucket="photos", key=self.key, upload_id=self.id, **members)
        return await self.sdk.list_parts(request)

    async def head(self) -> Any:
        return await self.sdk.head_object(oss.HeadObjectRequest(bucket="photos", key=self.key))


def etag(content: bytes) -> str:
    return f'"{md5(content).hexdigest().upper()}"'
