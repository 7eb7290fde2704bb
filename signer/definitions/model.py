"""The YAML's typed, frozen models: what may be written, with the defaults. The JSON Schema comes from here too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from signer.definitions.quantities import parse_duration, parse_rate, parse_size

_DURATION_SCHEMA = WithJsonSchema(
    {"type": ["string", "integer"], "pattern": "^[0-9]+[smhd]?$", "examples": ["90s", "15m", "3h", 900]}
)
_SIZE_SCHEMA = WithJsonSchema(
    {
        "type": ["string", "integer"],
        "pattern": "^[0-9]+ ?(B|[KMG]i?B)?$",
        "examples": ["512KiB", "10MiB", "5GB", 1048576],
    }
)
_RATE_SCHEMA = WithJsonSchema({"type": "string", "pattern": "^[0-9]+/[smhd]$", "examples": ["100/s", "30/m"]})

Duration = Annotated[timedelta, BeforeValidator(parse_duration), _DURATION_SCHEMA]
Size = Annotated[int, BeforeValidator(parse_size), _SIZE_SCHEMA]
Rate = Annotated[tuple[int, int], BeforeValidator(parse_rate), _RATE_SCHEMA]


def _pattern(pattern: str, explanation: str) -> AfterValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(explanation)
        return value

    return AfterValidator(check)


def _base_url(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", value):
        raise ValueError("is no base URL; write it like https://upload.example.com")
    return value.rstrip("/")


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) <= 65535):
        raise ValueError("is no address; write host:port, such as 0.0.0.0:5000")
    return value


def _origin(value: str) -> str:
    if value != "*" and not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", value):
        raise ValueError("is no origin; write https://h5.example.com, without a path")
    return value


def _empty_as_none(value: object) -> object:
    return None if value == "" else value


BaseUrl = Annotated[str, AfterValidator(_base_url)]
Address = Annotated[str, AfterValidator(_address)]
Origin = Annotated[str, AfterValidator(_origin)]
Bucket = Annotated[
    str,
    _pattern(
        r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
        "is no bucket name: 3 to 63 lower-case letters, digits and hyphens, not starting or ending with a hyphen",
    ),
]
Region = Annotated[
    str,
    _pattern(
        r"(?!oss-)[a-z]+(-[a-z0-9]+)+",
        "is no region id; write it plain, like cn-hangzhou (not oss-cn-hangzhou)",
    ),
]
MediaType = Annotated[
    str,
    _pattern(r"[A-Za-z0-9!#&^_.+-]+/([A-Za-z0-9!#&^_.+-]+|\*)", "is no media type; write image/jpeg or image/*"),
]
RoleArn = Annotated[
    str,
    _pattern(r"acs:ram::[0-9]+:role/[A-Za-z0-9.@_-]+", "is no role ARN; write acs:ram::<account id>:role/<name>"),
]
SessionName = Annotated[
    str, _pattern(r"[A-Za-z0-9.@_-]{2,32}", "is no session name: 2 to 32 of letters, digits, . @ _ -")
]


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Server(Entry):
    """Where the signer listens; a change needs a restart."""

    listen: Address = Field("0.0.0.0:5000", description="public address, host:port")
    admin: Address = Field("127.0.0.1:9180", description="health and status; never public")


class CredentialSource(Entry):
    min_remaining: Duration = Field(
        timedelta(seconds=60), description="a token that ends sooner is not signed with; forms get shorter down to this"
    )
    timeout: Duration = Field(timedelta(seconds=10), description="how long one fetch may take in all")


class EcsRamRole(CredentialSource):
    """The role attached to this ECS instance, from the metadata service; no secret on disk."""

    type: Literal["ecs_ram_role"]
    role_name: str | None = Field(None, description="discovered when not given")
    endpoint: BaseUrl = Field("http://100.100.100.200", description="another metadata service, for localcloud")


class AssumedRole(CredentialSource):
    """What every kind of assumed role has."""

    documented_environment: ClassVar[dict[str, str]] = {}
    """The variables of the environment that give what an entry does not say."""

    role_arn: RoleArn = Field(description="default: from the environment")
    session_name: SessionName = Field("oss-signer", description="stands in ActionTrail's log")
    duration: Duration = Field(timedelta(hours=1), description="15m up to the role's MaxSessionDuration")
    scope: Literal["role", "app"] = Field(
        "role", description="app: each token can write only to its app's bucket and prefix"
    )
    endpoint: BaseUrl = Field(
        "https://sts.aliyuncs.com",
        description="the STS endpoint, such as https://sts.cn-hangzhou.aliyuncs.com",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, values: Any, info: ValidationInfo) -> Any:
        environ: Mapping[str, str] = (info.context or {}).get("environ", {})
        if isinstance(values, dict):
            for name, variable in cls.documented_environment.items():
                chained = "source" in values and name != "role_arn"
                if name not in values and environ.get(variable) and not chained:
                    values = {**values, name: environ[variable]}
        return values


class AssumeRole(AssumedRole):
    """A role assumed through STS, with a RAM user's AccessKey or with the credential of another entry."""

    documented_environment: ClassVar[dict[str, str]] = {
        "role_arn": "OSS_STS_ROLE_ARN",
        "access_key_id": "OSS_ACCESS_KEY_ID",
        "access_key_secret": "OSS_ACCESS_KEY_SECRET",
    }
    """As in Alibaba's sample (help page 92883)."""

    type: Literal["assume_role"]
    source: str | None = Field(None, description="another entry to assume this role with; then no AccessKey is needed")
    access_key_id: str | None = Field(
        None, min_length=1, description="default: the environment's OSS_ACCESS_KEY_ID, unless there is a source"
    )
    access_key_secret: SecretStr | None = Field(
        None, min_length=1, description="default: the environment's OSS_ACCESS_KEY_SECRET, unless there is a source"
    )
    external_id: str | None = Field(None, description="when the role's trust policy wants one")


class Oidc(AssumedRole):
    """A role assumed with the pod's own OIDC token: RRSA in ACK, which sets all of this in the environment."""

    documented_environment: ClassVar[dict[str, str]] = {
        "role_arn": "ALIBABA_CLOUD_ROLE_ARN",
        "provider_arn": "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
        "token_file": "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
    }

    type: Literal["oidc"]
    provider_arn: Annotated[
        str,
        _pattern(
            r"acs:ram::[0-9]+:oidc-provider/[A-Za-z0-9._-]+",
            "is no OIDC provider ARN; write acs:ram::<account id>:oidc-provider/<name>",
        ),
    ] = Field(description="default: the environment's ALIBABA_CLOUD_OIDC_PROVIDER_ARN")
    token_file: str = Field(
        min_length=1, description="read anew for each fetch; default: the environment's ALIBABA_CLOUD_OIDC_TOKEN_FILE"
    )


class DefaultChain(CredentialSource):
    """The SDK's own chain: environment, OIDC, the CLI's and the SDK's profiles, the ECS role, a credentials URI."""

    type: Literal["default"]


class Static(CredentialSource):
    """A credential as it stands here; for tests only, since nothing replaces it."""

    type: Literal["static"]
    access_key_id: str = Field(min_length=1)
    access_key_secret: SecretStr = Field(min_length=1)
    security_token: SecretStr | None = None


CredentialEntry = Annotated[EcsRamRole | AssumeRole | Oidc | DefaultChain | Static, Field(discriminator="type")]


class OpenCallers(Entry):
    """Anyone may ask."""

    type: Literal["open"] = "open"


class ApiKeyCallers(Entry):
    """The team's own servers, by `X-Api-Key`."""

    type: Literal["api_key"]
    keys: dict[
        str,
        Annotated[str, _pattern("[0-9a-f]{64}", "is no SHA-256; make it with: printf %s KEY | sha256sum")],
    ] = Field(min_length=1, description="the SHA-256 of each key, by the name of who holds it")


CallersEntry = Annotated[OpenCallers | ApiKeyCallers, Field(discriminator="type")]


class RateLimit(Entry):
    """How often forms are given out."""

    per_app: Rate | None = None
    per_caller: Rate | None = Field(None, description="per caller id, or per address where anyone may ask")


class Callback(Entry):
    """OSS's upload callback; `${...}` in it are OSS's own variables."""

    url: BaseUrl
    body: str = Field(min_length=1)
    body_type: Literal["application/x-www-form-urlencoded", "application/json"] = "application/x-www-form-urlencoded"
    host: str | None = None


class Defaults(Entry):
    """What apps have in common; each may say otherwise."""

    name: str = Field("", description="for people")
    enabled: StrictBool = True
    bucket: Bucket | None = None
    region: Region | None = Field(None, description="the bucket's region id, such as cn-hangzhou")
    domain: Annotated[BaseUrl | None, BeforeValidator(_empty_as_none)] = Field(
        None, description="a CNAME or accelerate domain to upload to; default: the bucket's own"
    )
    credentials: str | None = Field(None, description="the entry under credentials that signs for this app")
    key_prefix: str = Field("", description="every object key starts with it; {app} {caller} {yyyy} {mm} {dd}")
    key: str = Field("client", description="client, uuid, or a template with {uuid} {filename} {stem} {ext} ...")
    expires: Duration = Field(timedelta(minutes=15), description="how long a form may be used")
    min_size: Size = Field(1, description="bytes")
    max_size: Size = Field(20 * 2**20, description="bytes; OSS takes at most 5GiB in one form")
    content_types: tuple[MediaType, ...] = Field((), description="none: any")
    success_status: Literal[200, 201, 204] = 200
    headers: dict[str, str] = Field({}, description="form fields with a fixed value, such as x-oss-object-acl")
    conditions: tuple[Any, ...] = Field((), description="further PostObject conditions, as Alibaba documents them")
    callers: CallersEntry = OpenCallers()
    rate_limit: RateLimit = RateLimit()
    cors_origins: tuple[Origin, ...] = Field((), description="web pages that may ask from a browser")
    callback: Callback | None = None
    generate_signature: StrictBool = Field(
        True, description="false: refuse the documented endpoint, whose clients build their own form"
    )


class App(Defaults):
    """One mini-program and the bucket it uploads to."""

    bucket: Bucket
    region: Region
    credentials: str


AppId = Annotated[str, _pattern("[A-Za-z0-9_-]{1,64}", "is no app id: 1 to 64 of letters, digits, _ -")]


class Definitions(Entry):
    """All that the signer knows."""

    version: Literal[1]
    default_app: str | None = Field(None, description="for requests that name no app")
    server: Server = Server()
    credentials: dict[str, CredentialEntry]
    defaults: Defaults = Defaults()
    apps: dict[AppId, App]
