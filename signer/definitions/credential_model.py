"""The entries under `credentials`: from where the tokens come that uploads are signed with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, model_validator

from signer.definitions.value_types import BaseUrl, Duration, OidcProviderArn, RoleArn, SessionName


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class CommonSettings(StrictModel):
    min_remaining: Duration = Field(
        timedelta(seconds=60),
        description="a token that ends sooner is not signed with; forms get shorter down to this",
        examples=["60s"],
    )
    timeout: Duration = Field(
        timedelta(seconds=10), description="how long one fetch of a token may take in all", examples=["10s"]
    )


class EcsRamRole(CommonSettings):
    """The role attached to this ECS instance, from the metadata service; no secret on disk."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"type": "ecs_ram_role"}]})

    type: Literal["ecs_ram_role"] = Field(description="this kind of entry")
    role_name: str | None = Field(
        None, description="the role's name; asked of the metadata service when not given", examples=["oss-uploader"]
    )
    endpoint: BaseUrl = Field(
        "http://100.100.100.200",
        description="another metadata service, such as the local cloud's",
        examples=["http://100.100.100.200"],
    )


class StsRole(CommonSettings):
    """What every kind of assumed role has."""

    environment_variables: ClassVar[dict[str, str]] = {}
    """The variables of the environment that give what an entry does not say."""

    role_arn: RoleArn = Field(description="the role to assume")
    session_name: SessionName = Field("oss-signer", description="stands in ActionTrail's log for each call")
    duration: Duration = Field(
        timedelta(hours=1),
        description="life of each token, from 15m to 12h and at most the role's own MaxSessionDuration",
        examples=["1h"],
    )
    scope: Literal["role", "app"] = Field(
        "role",
        description="`role`: one token for all its apps; `app`: a token for each app, which can write only below the "
        "app's prefix in the app's bucket",
        examples=["app"],
    )
    endpoint: BaseUrl = Field(
        "https://sts.aliyuncs.com",
        description="the STS endpoint; one of the region is nearer",
        examples=["https://sts.cn-hangzhou.aliyuncs.com"],
    )

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
    """A role assumed through STS, with a RAM user's AccessKey or with the credential of another entry."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "assume_role",
                    "role_arn": "${OSS_STS_ROLE_ARN}",
                    "access_key_id": "${OSS_ACCESS_KEY_ID}",
                    "access_key_secret": "${OSS_ACCESS_KEY_SECRET}",
                    "duration": "1h",
                    "scope": "app",
                }
            ]
        }
    )

    environment_variables: ClassVar[dict[str, str]] = {
        "role_arn": "OSS_STS_ROLE_ARN",
        "access_key_id": "OSS_ACCESS_KEY_ID",
        "access_key_secret": "OSS_ACCESS_KEY_SECRET",
    }
    """As in Alibaba's sample (help page 92883)."""

    type: Literal["assume_role"] = Field(description="this kind of entry")
    source: str | None = Field(
        None,
        description="another entry to assume this role with, in place of an AccessKey",
        examples=["uploader"],
    )
    access_key_id: str | None = Field(
        None, min_length=1, description="AccessKey id of the RAM user", examples=["${OSS_ACCESS_KEY_ID}"]
    )
    access_key_secret: SecretStr | None = Field(
        None,
        min_length=1,
        description="AccessKey secret of the RAM user",
        examples=["${OSS_ACCESS_KEY_SECRET}", "${file:/run/credentials/oss-signer.service/ak-secret}"],
    )
    external_id: str | None = Field(
        None, description="when the role's trust policy wants one", examples=["photo-partner"]
    )


class OidcRole(StsRole):
    """A role assumed with the pod's own OIDC token: RRSA in ACK, which sets all of this in the environment."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "oidc",
                    "role_arn": "acs:ram::1234567890123456:role/oss-upload",
                    "provider_arn": "acs:ram::1234567890123456:oidc-provider/ack-rrsa-c1",
                    "token_file": "/var/run/secrets/ack.alibabacloud.com/rrsa-tokens/token",
                }
            ]
        }
    )

    environment_variables: ClassVar[dict[str, str]] = {
        "role_arn": "ALIBABA_CLOUD_ROLE_ARN",
        "provider_arn": "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
        "token_file": "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
    }

    type: Literal["oidc"] = Field(description="this kind of entry")
    provider_arn: OidcProviderArn = Field(description="the OIDC identity provider in RAM")
    token_file: str = Field(
        min_length=1,
        description="file with the pod's token; read anew for each fetch",
        examples=["/var/run/secrets/ack.alibabacloud.com/rrsa-tokens/token"],
    )


class DefaultChain(CommonSettings):
    """The SDK's own chain: environment, OIDC, the CLI's and the SDK's profiles, the ECS role, a credentials URI."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"type": "default"}]})

    type: Literal["default"] = Field(description="this kind of entry")


class StaticCredential(CommonSettings):
    """A credential as it stands here; for tests only, since nothing replaces it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "static",
                    "access_key_id": "${OSS_ACCESS_KEY_ID}",
                    "access_key_secret": "${OSS_ACCESS_KEY_SECRET}",
                }
            ]
        }
    )

    type: Literal["static"] = Field(description="this kind of entry")
    access_key_id: str = Field(min_length=1, description="AccessKey id", examples=["${OSS_ACCESS_KEY_ID}"])
    access_key_secret: SecretStr = Field(
        min_length=1, description="AccessKey secret", examples=["${OSS_ACCESS_KEY_SECRET}"]
    )
    security_token: SecretStr | None = Field(
        None, description="for a credential that STS issued", examples=["${OSS_SESSION_TOKEN}"]
    )


CredentialEntry = Annotated[
    EcsRamRole | AssumeRole | OidcRole | DefaultChain | StaticCredential, Field(discriminator="type")
]
