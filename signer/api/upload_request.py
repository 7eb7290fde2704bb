"""Parses the body of an upload request."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

from multidict import MultiMapping
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from signer.api.json_body import Code, invalid_body
from signer.errors import InvalidRequest
from signer.request_context import RequestBody
from signer.signing.upload_rules import EMPTY_REQUEST, UploadRequest

MAX_FILES = 50
"""In one request."""

Filename = Annotated[
    str, Field(min_length=1, max_length=1024, description="The name of the file; only its last segment is used.")
]
ContentType = Annotated[str, Field(max_length=255, description="The media type of the file.", examples=["image/jpeg"])]
Vars = Annotated[dict[str, str], Field(description="Variables of the upload callback; the form sends each as x:name.")]
Meta = Annotated[dict[str, str], Field(description="Metadata of the object; the form sends each as x-oss-meta-name.")]
Reuse = Annotated[
    bool,
    Field(description="Whether the form serves several files, which the client names; for apps with key: client."),
]
Method = Annotated[
    Literal["POST", "PUT"],
    Field(description="POST for a form, the default; PUT for a presigned URL, with size and content_type."),
]
SizeBytes = Annotated[int, Field(ge=0, le=2**53, description="The size of the file in bytes.")]


class UploadFile(TypedDict, total=False):
    """A file that the client wants to upload. Every member is optional; null is the same as an absent one."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]

    filename: Filename | None
    content_type: ContentType | None
    size: SizeBytes | None
    vars: Vars | None
    meta: Meta | None
    reuse: Reuse | None
    method: Method | None


class UploadRequestBody(BaseModel):
    """One file, or several in `files`. Every member is optional; null is the same as an absent one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    filename: Filename | None = None
    content_type: ContentType | None = None
    size: SizeBytes | None = None
    vars: Vars | None = None
    meta: Meta | None = None
    reuse: Reuse | None = None
    method: Method | None = None
    files: list[UploadFile] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_FILES,
        description="Several files, instead of the members of one; the response has the form of each.",
    )
    compact: bool | None = Field(
        default=None, description="Only with files: whether what all forms share is given once, as common_fields."
    )
    code: Code = None


class UploadBatch(NamedTuple):
    """Several files that the client wants to upload."""

    files: Sequence[UploadRequest]
    is_compact: bool


_NOTHING: Mapping[str, str] = MappingProxyType({})
_BODIES = TypeAdapter(UploadRequestBody).validator
_FILE_MEMBERS = tuple(UploadFile.__annotations__)


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
        raise invalid_body(error, UploadRequestBody, headers, parts={"files": _FILE_MEMBERS}) from None
    if parsed.files is None:
        if parsed.compact is not None:
            raise InvalidRequest("compact is for several files; send it with files")
        vars_, meta, reuse = parsed.vars or _NOTHING, parsed.meta or _NOTHING, bool(parsed.reuse)
        is_put = parsed.method == "PUT"
        return UploadRequest(parsed.filename, parsed.content_type, parsed.size, vars_, meta, reuse, is_put), parsed.code
    for name in _FILE_MEMBERS:
        if getattr(parsed, name) is not None:
            raise InvalidRequest(f"{name} is of one file; write it into each of files")
    return UploadBatch([_request(each) for each in parsed.files], bool(parsed.compact)), parsed.code


def _request(file: UploadFile) -> UploadRequest:
    value = file.get
    # The usual constructor takes twice as long.
    return tuple.__new__(
        UploadRequest,
        (
            value("filename"),
            value("content_type"),
            value("size"),
            value("vars") or _NOTHING,
            value("meta") or _NOTHING,
            value("reuse") is True,
            value("method") == "PUT",
        ),
    )
