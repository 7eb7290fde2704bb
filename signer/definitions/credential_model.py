"""The models of `credentials`: the sources of the tokens that sign uploads."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, model_validator

from signer.definitions.value_types import BaseUrl, Duration, OidcProviderArn, RoleArn, SessionName


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    example_keys: ClassVar[tuple[str, ...]] = ()
    """The keys in the example of the whole mapping, each with the first of its own examples."""


class CommonSettings(StrictModel):
    min_remaining: Duration = Field(timedelta(seconds=60), examples=["60s"])
    """A token that expires sooner is not used; forms are shortened down to this."""
    timeout: Duration = Field(timedelta(seconds=10), examples=["10s"])
    """Timeout of fetching a token."""


class EcsRamRole(CommonSettings):
    """The RAM role of this ECS instance, from the metadata service; no secret is stored."""

    example_keys = ("type",)

    type: Literal["ecs_ram_role"]
    """Type of the entry."""
    role_name: str | None = Field(None, examples=["oss-uploader"])
    """Name of the role; default: the one that the metadata service returns."""
    endpoint: BaseUrl = Field("http://100.100.100.200", examples=["http://100.100.100.200"])
    """Another metadata service, such as the local cloud."""


class StsRole(CommonSettings):
    """What all roles have that STS issues tokens for."""

    environment_variables: ClassVar[dict[str, str]] = {}
    """The environment variables of keys that an entry does not have, by key."""

    role_arn: RoleArn
    """ARN of the role."""
    session_name: SessionName = "oss-signer"
    """Session name, which ActionTrail logs for each call."""
    duration: Duration = Field(timedelta(hours=1), examples=["1h"])
    """Lifetime of a token, from 15m to 12h, and at most the MaxSessionDuration of the role."""
    scope: Literal["role", "app"] = Field("role", examples=["app"])
    """`role`: one token for all apps; `app`: a token for each app, which can only write below the prefix of the app in
    its bucket."""
    endpoint: BaseUrl = Field("https://sts.aliyuncs.com", examples=["https://sts.cn-hangzhou.aliyuncs.com"])
    """STS endpoint; the one of your region is faster."""

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, values: Any, info: ValidationInfo) -> Any:
        environ: Mapping[str, str] = (info.context or {}).get("environ", {})
        if isinstance(values, dict):
            for name, variable in cls.environment_variables.items():
                chained = "source" in values and name != "role_arn"
                if name not in values and environ.get(variable) and not chained:
                    values = {**values, name: environ[variable]}
        return values


class AssumeRole(StsRole):
    """A role assumed with the AccessKey of a RAM user, or with the token of another entry."""

    example_keys = ("type", "role_arn", "access_key_id", "access_key_secret", "duration", "scope")

    environment_variables: ClassVar[dict[str, str]] = {
        "role_arn": "OSS_STS_ROLE_ARN",
        "access_key_id": "OSS_ACCESS_KEY_ID",
        "access_key_secret": "OSS_ACCESS_KEY_SECRET",
    }
    """As in Alibaba's sample.

    See: https://help.aliyun.com/document_detail/92883.html
    """

    type: Literal["assume_role"]
    """Type of the entry."""
    source: str | None = Field(None, examples=["uploader"])
    """Another entry to assume this role with, instead of an AccessKey."""
    access_key_id: str | None = Field(None, min_length=1, examples=["${OSS_ACCESS_KEY_ID}"])
    """AccessKey id of the RAM user."""
    access_key_secret: SecretStr | None = Field(
        None,
        min_length=1,
        examples=["${OSS_ACCESS_KEY_SECRET}", "${file:$CREDENTIALS_DIRECTORY/ak-secret}"],
    )
    """AccessKey secret of the RAM user."""
    external_id: str | None = Field(None, examples=["photo-partner"])
    """External id, if the trust policy of the role requires one."""


class OidcRole(StsRole):
    """A role assumed with the OIDC token of the pod (RRSA in ACK, which sets the environment variables)."""

    example_keys = ("type", "role_arn", "provider_arn", "token_file")

    environment_variables: ClassVar[dict[str, str]] = {
        "role_arn": "ALIBABA_CLOUD_ROLE_ARN",
        "provider_arn": "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
        "token_file": "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
    }

    type: Literal["oidc"]
    """Type of the entry."""
    provider_arn: OidcProviderArn
    """ARN of the OIDC identity provider in RAM."""
    token_file: str = Field(min_length=1, examples=["/var/run/secrets/ack.alibabacloud.com/rrsa-tokens/token"])
    """File with the token of the pod; read for each fetch."""


class DefaultChain(CommonSettings):
    """The default chain of the SDK: environment, OIDC, profiles of CLI and SDK, ECS role, credentials URI."""

    example_keys = ("type",)

    type: Literal["default"]
    """Type of the entry."""


class StaticCredential(CommonSettings):
    """A fixed credential, which is never replaced; for tests only."""

    example_keys = ("type", "access_key_id", "access_key_secret")

    type: Literal["static"]
    """Type of the entry."""
    access_key_id: str = Field(min_length=1, examples=["${OSS_ACCESS_KEY_ID}"])
    """AccessKey id."""
    access_key_secret: SecretStr = Field(min_length=1, examples=["${OSS_ACCESS_KEY_SECRET}"])
    """AccessKey secret."""
    security_token: SecretStr | None = Field(None, examples=["${OSS_SESSION_TOKEN}"])
    """Security token, if STS issued the credential."""


CredentialEntry = Annotated[
    EcsRamRole | AssumeRole | OidcRole | DefaultChain | StaticCredential, Field(discriminator="type")
]
