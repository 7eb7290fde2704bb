"""The responses with signed uploads, for the OpenAPI document."""

from typing import Literal

from pydantic import BaseModel, Field

from tools.openapi_problem import ProblemDocument


class UploadForm(BaseModel):
    """A complete form. Send `fields` in this order as multipart/form-data, the file last."""

    url: str = Field(description="The URL to send the form to.")
    method: Literal["POST"]
    fields: dict[str, str] = Field(
        description="All form fields, ready for formData of wx.uploadFile; of a compact form without common_fields."
    )
    file_field: str = Field(description="The name of the form field that contains the file: file")
    key: str | None = Field(default=None, description="The object key, as in fields; absent from a form to reuse.")
    key_prefix: str | None = Field(None, description="The prefix of all keys that the client may choose, if it may.")
    expires_at: str = Field(description="When the form expires, at the latest with its credential (RFC 3339, UTC).")
    max_size: int = Field(description="The largest size of the file in bytes.")
    multipart_threshold: int | None = Field(
        None, description="The size in bytes from which multipart uploads are better, if the app has them."
    )


class SignedPut(BaseModel):
    """A presigned PutObject. Send the file as the body, with these headers."""

    method: Literal["PUT"]
    url: str = Field(description="The URL to send the file to.")
    headers: dict[str, str] = Field(
        description="The headers to send, unchanged. HTTP clients set Content-Length themselves."
    )
    key: str = Field(description="The object key.")
    expires_at: str = Field(description="When the URL expires, at the latest with its credential (RFC 3339, UTC).")


class UploadBatch(BaseModel):
    """The form, PUT or problem of each file, in the order of the request. A problem has no `url`."""

    common_fields: dict[str, str] | None = Field(
        None, description="Only of a compact batch: the fields of each form in addition to its own."
    )
    uploads: list[UploadForm | SignedPut | ProblemDocument]


class SampleSignature(BaseModel):
    """The response of Alibaba's sample server, and members that this service adds."""

    policy: str
    x_oss_signature_version: str
    x_oss_credential: str
    x_oss_date: str
    signature: str
    security_token: str
    host: str = Field(description="The URL to send the form to.")
    key_prefix: str
    fields: dict[str, str] = Field(description="Every further form field to send.")
    expires_at: str
    key: str | None = None
    callback: str | None = Field(None, description="The form field callback, if the app has one.")
