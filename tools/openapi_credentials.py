"""The response of temporary credentials, for the OpenAPI document."""

from pydantic import BaseModel, Field

from signer.api.credentials import CredentialRequestBody


class CredentialTarget(BaseModel):
    """What an SDK of OSS needs for the bucket."""

    bucket: str
    region: str = Field(description="The region id, such as cn-hangzhou.")
    endpoint: str = Field(description="The endpoint of the SDK.")
    cname: bool = Field(description="Whether the endpoint is a domain that is bound to the bucket.")
    key_prefix: str = Field(description="The prefix of the keys of the caller's new objects.")


class TemporaryCredential(BaseModel):
    """A credential that is limited to the objects of the caller. The first four members are those of STS."""

    AccessKeyId: str
    AccessKeySecret: str
    SecurityToken: str
    Expiration: str = Field(description="When the credential expires (RFC 3339, UTC).")
    target: CredentialTarget


REQUESTS: dict[type[BaseModel], str] = {CredentialRequestBody: "CredentialRequest"}
RESPONSES: dict[type[BaseModel], str] = {
    CredentialTarget: "CredentialTarget",
    TemporaryCredential: "TemporaryCredential",
}
