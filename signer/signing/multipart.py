"""Multipart uploads: how a file is divided into parts, and the signed URL of each part.

The URL of a part signs its exact Content-Length, so that a client cannot send more than it declared.

See: https://help.aliyun.com/zh/oss/developer-reference/uploadpart
See: https://help.aliyun.com/zh/oss/developer-reference/signature-version-4-recommend
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from signer.errors import InvalidRequest, TooLarge, UploadGone
from signer.signing.presigned_url import Presigner
from signer.signing.upload_rules import MultipartRules, UploadRules
from signer.signing.v4 import Credential

MAX_PARTS = 10_000
MIN_PART_BYTES, MAX_PART_BYTES = 100 * 1024, 5 * 1024**3
"""Each part but the last; see https://help.aliyun.com/zh/oss/user-guide/multipart-upload."""
MAX_MULTIPART_BYTES = MAX_PARTS * MAX_PART_BYTES
MAX_TOKEN_CHARACTERS = 16 * 1024
"""Of the token that contains an upload."""
MARK_NAME = "upload"
"""The name of the metadata that shows which upload became an object."""
PART_HEADERS: Mapping[str, str] = MappingProxyType({"Content-Type": "application/octet-stream"})
"""What a client sends with a part. wx.request would send application/json, and OSS signs any Content-Type."""


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """An upload that was started at OSS, and what its client declared. It is never stored, only in its token."""

    app_id: str
    caller: str | None
    bucket: str
    region: str
    key: str
    content_type: str
    upload_id: str
    """OSS's id of the upload."""
    mark: str
    """The value of the metadata `MARK_NAME`."""
    size_bytes: int
    part_size_bytes: int
    expires_at: datetime
    vars: Mapping[str, str] = field(default_factory=dict)
    """The variables of the callback, by name without `x:`."""

    @property
    def part_count(self) -> int:
        return -(-self.size_bytes // self.part_size_bytes)

    def part_bytes(self, number: int) -> int:
        """Return the size of a part; the last one has the rest. Parts count from 1."""
        return min(self.part_size_bytes, self.size_bytes - (number - 1) * self.part_size_bytes)


@dataclass(frozen=True, slots=True)
class SignedPart:
    """A URL to which one part can be sent until `expires_at`."""

    number: int
    size_bytes: int
    url: str = field(repr=False)
    expires_at: datetime


def check_multipart_size(rules: UploadRules, multipart: MultipartRules, size_bytes: int) -> None:
    """Raise `TooLarge` or `InvalidRequest` for a size that the app does not allow in a multipart upload."""
    if size_bytes > multipart.max_size_bytes:
        limit = multipart.max_size_bytes
        raise TooLarge(f"the file has {size_bytes} bytes; this app allows at most {limit} in a multipart upload")
    if size_bytes < max(rules.min_size_bytes, 1):
        limit = max(rules.min_size_bytes, 1)
        raise InvalidRequest(f"the file has {size_bytes} bytes; a multipart upload of this app needs at least {limit}")


def choose_part_size(multipart: MultipartRules, size_bytes: int, proposed_bytes: int | None) -> int:
    """Return the proposed size of a part, else the one of the app, within what OSS accepts for this file."""
    smallest = max(MIN_PART_BYTES, -(-size_bytes // MAX_PARTS))
    return min(max(proposed_bytes or multipart.part_size_bytes, smallest), MAX_PART_BYTES)


def sign_parts(
    rules: UploadRules, upload: PendingUpload, numbers: Sequence[int], *, credential: Credential, now: datetime
) -> list[SignedPart]:
    """Return the URL of each part, in this order.

    A URL expires as a form would, and no later than the upload and the credential. Raises `InvalidRequest` for a number
    that the upload does not have, and `CredentialsUnavailable` if the credential has expired.
    """
    for number in numbers:
        if not 1 <= number <= upload.part_count:
            raise InvalidRequest(
                f"part_numbers: {number} does not exist; this upload has the parts 1 to {upload.part_count}"
            )
    signed_at = now.replace(microsecond=0)
    if upload.expires_at <= signed_at:
        raise expired()
    expires_at = credential.limit(min(signed_at + rules.expires, upload.expires_at), now)
    presigner = Presigner(
        rules.url,
        bucket=upload.bucket,
        key=upload.key,
        region=upload.region,
        credential=credential,
        signed_at=signed_at,
        expires_seconds=int((expires_at - signed_at) / timedelta(seconds=1)),
    )
    return [_sign_part(presigner, upload, number, expires_at) for number in numbers]


def _sign_part(presigner: Presigner, upload: PendingUpload, number: int, expires_at: datetime) -> SignedPart:
    size_bytes = upload.part_bytes(number)
    url = presigner.url(
        "PUT",
        headers={**PART_HEADERS, "Content-Length": str(size_bytes)},
        query={"partNumber": str(number), "uploadId": upload.upload_id},
    )
    return SignedPart(number, size_bytes, url, expires_at)


def expired() -> UploadGone:
    """Return the refusal of a step after the end of the upload."""
    return UploadGone("the upload has expired; start a new one")
