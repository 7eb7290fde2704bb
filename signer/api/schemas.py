"""The bodies of requests and responses as models: they validate requests and describe the API in OpenAPI."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Filename = Annotated[
    str, Field(min_length=1, max_length=1024, description="The name of the file; only its last segment is used.")
]
ContentType = Annotated[str, Field(max_length=255, description="The media type of the file.", examples=["image/jpeg"])]
SizeBytes = Annotated[int, Field(ge=0, le=2**53, description="The size of the file in bytes.")]


class UploadRequestBody(BaseModel):
    """What the client wants to upload. Every member is optional."""

    model_config = ConfigDict(extra="forbid", strict=True)

    filename: Filename | None = None
    content_type: ContentType | None = None
    size: SizeBytes | None = None
    vars: dict[str, str] = Field(
        default_factory=dict, description="Variables of the upload callback; the form sends each as x:name."
    )
    meta: dict[str, str] = Field(
        default_factory=dict, description="Metadata of the object; the form sends each as x-oss-meta-name."
    )
    code: str | None = Field(
        default=None, max_length=512, description="A code of wx.login, an alternative to the header X-WX-Code."
    )


class UploadForm(BaseModel):
    """A complete form. Send `fields` in this order as multipart/form-data, the file last."""

    url: str = Field(description="The URL to send the form to.")
    method: str = Field(description="POST")
    fields: dict[str, str] = Field(description="All form fields, ready for formData of wx.uploadFile.")
    file_field: str = Field(description="The name of the form field that contains the file: file")
    key: str | None = Field(default=None, description="The object key, if the server names the object.")
    key_prefix: str | None = Field(None, description="The prefix of every object key, if the client names the object.")
    expires_at: str = Field(description="When the form expires, at the latest with its credential (RFC 3339, UTC).")
    max_size: int = Field(description="The largest size of the file in bytes.")


class SampleSignature(BaseModel):
    """The response of Alibaba's sample server. All members are strings."""

    policy: str
    x_oss_signature_version: str
    x_oss_credential: str
    x_oss_date: str
    signature: str
    security_token: str
    host: str = Field(description="The URL to send the form to.")
    key_prefix: str
    expires_at: str
    key: str | None = None
    callback: str | None = Field(None, description="The form field callback, if the app has one.")


class DownloadUrl(BaseModel):
    """A URL that reads one object."""

    url: str
    expires_at: str


class ProblemDocument(BaseModel):
    """A problem (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str | None = None
    code: str
    request_id: str
