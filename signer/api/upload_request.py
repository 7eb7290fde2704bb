"""Parses the body of an upload request."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from multidict import MultiMapping
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from signer.api.json_body import invalid_body
from signer.request_context import RequestBody
from signer.signing.upload_rules import EMPTY_REQUEST, UploadRequest

Filename = Annotated[
    str, Field(min_length=1, max_length=1024, description="The name of the file; only its last segment is used.")
]
ContentType = Annotated[str, Field(max_length=255, description="The media type of the file.", examples=["image/jpeg"])]
SizeBytes = Annotated[int, Field(ge=0, le=2**53, description="The size of the file in bytes.")]


class UploadRequestBody(BaseModel):
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
    code: str | None = Field(
        default=None, max_length=512, description="A code of wx.login, an alternative to the header X-WX-Code."
    )


_NOTHING: Mapping[str, str] = MappingProxyType({})
_BODIES = TypeAdapter(UploadRequestBody).validator


async def parse_upload_request(body: RequestBody, headers: MultiMapping[str]) -> tuple[UploadRequest, str | None]:
    """Read the JSON body and return what the client wants to upload, and the wx.login code in the body.

    No body is an empty request. Raises `TooLarge`, or `InvalidRequest` whose detail names the malformed member.
    """
    data = await body.read()
    if not data.strip():
        return EMPTY_REQUEST, None
    try:
        parsed: UploadRequestBody = _BODIES.validate_json(data)
    except ValidationError as error:
        raise invalid_body(error, UploadRequestBody, headers) from None
    vars_, meta, reuse = parsed.vars or _NOTHING, parsed.meta or _NOTHING, bool(parsed.reuse)
    return UploadRequest(parsed.filename, parsed.content_type, parsed.size, vars_, meta, reuse), parsed.code
