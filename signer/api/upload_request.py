"""Parses the body of an upload request."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

from multidict import MultiMapping
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from signer.api.json_body import invalid_body
from signer.errors import InvalidRequest
from signer.request_context import RequestBody
from signer.signing.upload_rules import EMPTY_REQUEST, UploadRequest

MAX_FILES = 50
"""In one request."""

Filename = Annotated[
    str, Field(min_length=1, max_length=1024, description="The name of the file; only its last segment is used.")
]
ContentType = Annotated[str, Field(max_length=255, description="The media type of the file.", examples=["image/jpeg"])]
SizeBytes = Annotated[int, Field(ge=0, le=2**53, description="The size of the file in bytes.")]


class UploadFileBody(BaseModel):
    """What the client wants to upload. Every member is optional; null is the same as an absent one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    filename: Filename | None = None
    content_type: ContentType | None = None
    size: SizeBytes | None = None
    vars: dict[str, str] | None = Field(
        default=None, description="Variables of the upload callback; the form sends each as x:name."
    )
    meta: dict[str, str] | None = Field(
        default=None, description="Metadata of the object; the form sends each as x-oss-meta-name."
    )
    reuse: bool | None = Field(
        default=None,
        description="Whether the form serves several files, which the client names; for apps with key: client.",
    )
    method: Literal["POST", "PUT"] | None = Field(
        default=None, description="POST for a form, the default; PUT for a presigned URL, with size and content_type."
    )


class UploadRequestBody(UploadFileBody):
    """One file, or several in `files`."""

    files: list[UploadFileBody] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_FILES,
        description="Several files, instead of the members of one; the response has the form of each.",
    )
    compact: bool | None = Field(
        default=None, description="Only with files: whether what all forms share is given once, as common_fields."
    )
    code: str | None = Field(
        default=None, max_length=512, description="A code of wx.login, an alternative to the header X-WX-Code."
    )


class UploadBatch(NamedTuple):
    """Several files that the client wants to upload."""

    files: Sequence[UploadRequest]
    is_compact: bool


_NOTHING: Mapping[str, str] = MappingProxyType({})
_BODIES = TypeAdapter(UploadRequestBody).validator
_OF_BATCHES = {"files", "compact", "code"}


async def parse_upload_request(
    body: RequestBody, headers: MultiMapping[str]
) -> tuple[UploadRequest | UploadBatch, str | None]:
    """Read the JSON body and return what the client wants to upload, and the wx.login code in the body.

    No body is an empty request. Raises `TooLarge`, or `InvalidRequest` whose detail names the malformed member.
    """
    data = await body.read()
    if not data.strip():
        return EMPTY_REQUEST, None
    try:
        parsed: UploadRequestBody = _BODIES.validate_json(data)
    except ValidationError as error:
        is_of_file = len(error.errors(include_input=False)[0]["loc"]) > 2
        raise invalid_body(error, UploadFileBody if is_of_file else UploadRequestBody, headers) from None
    if parsed.files is None:
        if parsed.compact is not None:
            raise InvalidRequest("compact is for several files; send it with files")
        return _request(parsed), parsed.code
    for name in parsed.model_fields_set - _OF_BATCHES:
        if getattr(parsed, name) is not None:
            raise InvalidRequest(f"{name} is of one file; write it into each of files")
    return UploadBatch([_request(each) for each in parsed.files], bool(parsed.compact)), parsed.code


def _request(file: UploadFileBody) -> UploadRequest:
    return UploadRequest(
        file.filename,
        file.content_type,
        file.size,
        file.vars or _NOTHING,
        file.meta or _NOTHING,
        bool(file.reuse),
        file.method == "PUT",
    )
