"""The responses of multipart uploads, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel, Field

from signer.api.multipart_request import (
    MultipartCompletionBody,
    MultipartPartsBody,
    MultipartStartBody,
    MultipartTokenBody,
    UploadedPart,
)


class SignedPart(BaseModel):
    """A part to send to OSS."""

    part_number: int = Field(description="From 1.")
    method: str = Field(description="PUT")
    url: str = Field(description="The URL to send the part to.")
    headers: dict[str, str] = Field(description="The headers to send, and no other Content-Type.")
    size: int = Field(description="The number of bytes to send; OSS rejects any other.")
    expires_at: str = Field(description="When the URL expires (RFC 3339, UTC).")


class SignedParts(BaseModel):
    """Parts to send to OSS, in the order of the request."""

    parts: list[SignedPart]


class MultipartUpload(BaseModel):
    """An upload that was started."""

    upload: str = Field(description="The token of the upload, for the other steps.")
    key: str = Field(description="The object key.")
    part_size: int = Field(description="The size of each part but the last in bytes.")
    part_count: int
    parts: list[SignedPart] = Field(description="The first parts.")
    expires_at: str = Field(description="When the upload ends (RFC 3339, UTC).")


class StoredPart(BaseModel):
    """A part that OSS has."""

    part_number: int
    size: int
    etag: str = Field(description="With its quotes, as in the header ETag.")


class StoredParts(BaseModel):
    """The parts that OSS has, in ascending order."""

    parts: list[StoredPart]


class MultipartObject(BaseModel):
    """The object that an upload became."""

    key: str
    url: str = Field(description="The URL of the object, not signed.")
    etag: str
    size: int
    callback: Any = Field(None, description="The response of your server to OSS's callback; null if it failed.")


REQUESTS: dict[type[BaseModel], str] = {
    MultipartStartBody: "MultipartStart",
    MultipartPartsBody: "MultipartPartNumbers",
    MultipartTokenBody: "MultipartToken",
    UploadedPart: "UploadedPart",
    MultipartCompletionBody: "MultipartCompletion",
}
"""The schemas of requests by model; their members may be null."""
RESPONSES: dict[type[BaseModel], str] = {
    SignedPart: "SignedPart",
    SignedParts: "SignedParts",
    MultipartUpload: "MultipartUpload",
    StoredPart: "StoredPart",
    StoredParts: "StoredParts",
    MultipartObject: "MultipartObject",
}
STEPS: tuple[tuple[str, str, str, int, type[BaseModel], type[BaseModel] | None], ...] = (
    ("", "startMultipart", "Start an upload in parts", 201, MultipartStartBody, MultipartUpload),
    ("/parts", "signParts", "Sign parts of an upload", 200, MultipartPartsBody, SignedParts),
    ("/list", "listParts", "List the parts that OSS has", 200, MultipartTokenBody, StoredParts),
    ("/complete", "completeMultipart", "Make the parts an object", 200, MultipartCompletionBody, MultipartObject),
    ("/abort", "abortMultipart", "Delete an upload and its parts", 204, MultipartTokenBody, None),
)
"""The end of the path, name and summary of each step, the status of its response, and the models of both bodies."""
