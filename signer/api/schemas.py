"""What clients may send and what they get, as models: they validate requests, and /openapi.json is made of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Filename = Annotated[
    str, Field(min_length=1, max_length=1024, description="the file's own name; only its last segment counts")
]
ContentType = Annotated[str, Field(max_length=255, description="the file's media type", examples=["image/jpeg"])]
SizeBytes = Annotated[int, Field(ge=0, le=2**53, description="the file's size in bytes")]


class UploadRequestBody(BaseModel):
    """What a client says about the file it wants to upload; every member is optional."""

    model_config = ConfigDict(extra="forbid", strict=True)

    filename: Filename | None = None
    content_type: ContentType | None = None
    size: SizeBytes | None = None
    vars: dict[str, str] = Field(default_factory=dict, description="variables of the upload callback, sent as x:name")
    meta: dict[str, str] = Field(default_factory=dict, description="the object's own metadata, as x-oss-meta-name")
    code: str | None = Field(default=None, max_length=512, description="a code of wx.login, instead of X-WX-Code")


class Upload(BaseModel):
    """A whole form: send `fields` in this order as multipart/form-data, the file last."""

    url: str = Field(description="where to send it")
    method: str = Field(description="POST")
    fields: dict[str, str] = Field(description="every form field, ready for wx.uploadFile's formData")
    file_field: str = Field(description="the name of the file's own part: file")
    key: str | None = Field(default=None, description="the exact object key, where the server names it")
    key_prefix: str | None = Field(default=None, description="where the client names it: every key starts with this")
    expires_at: str = Field(description="RFC 3339, UTC; never later than the credential's own end")
    max_size: int = Field(description="bytes")


class Signature(BaseModel):
    """The answer of Alibaba's documented sample, all strings."""

    policy: str
    x_oss_signature_version: str
    x_oss_credential: str
    x_oss_date: str
    signature: str
    security_token: str
    host: str = Field(description="where to send the form")
    key_prefix: str
    expires_at: str
    key: str | None = None
    callback: str | None = Field(None, description="the form field of that name, where the app has one")


class Download(BaseModel):
    """A URL that reads one object."""

    url: str
    expires_at: str


class ProblemBody(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str | None = None
    code: str
    request_id: str
