"""The entries under `callers`: who may ask for forms."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from signer.callers.plugins import plugin_types
from signer.definitions.credential_model import StrictModel
from signer.definitions.value_types import AppId, BaseUrl, Duration, Sha256

_KEY_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class OpenCallers(StrictModel):
    """Anyone may ask."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"type": "open"}]})

    type: Literal["open"] = Field(description="this kind of caller")


class WeChatCallers(StrictModel):
    """A mini-program's user: `X-WX-Code` with the code of wx.login, then the session that answered it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"type": "wechat", "secret": "${WX_SECRET}"}]})

    type: Literal["wechat"] = Field(description="this kind of caller")
    secret: SecretStr = Field(min_length=1, description="the mini-program's AppSecret", examples=["${WX_SECRET}"])
    session: Duration = Field(timedelta(hours=2), description="how long a session lives", examples=["2h"])
    timeout: Duration = Field(timedelta(seconds=3), description="how long WeChat may take", examples=["3s"])
    app_id: AppId | None = Field(
        None, description="the mini-program's id; not given: the app's own id", examples=["wx1234567890abcdef"]
    )
    endpoint: BaseUrl = Field(
        "https://api.weixin.qq.com",
        description="another server, such as the local cloud's",
        examples=["https://api.weixin.qq.com"],
    )


class JwtCallers(StrictModel):
    """Who has a token of your own login, in `Authorization: Bearer`; one of `secret`, `public_key` and `jwks_url`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "jwt",
                    "jwks_url": "https://login.example.com/.well-known/jwks.json",
                    "issuer": "https://login.example.com",
                    "audience": "oss-signer",
                }
            ]
        }
    )

    type: Literal["jwt"] = Field(description="this kind of caller")
    secret: SecretStr | None = Field(
        None, min_length=1, description="for HS256: what the issuer shares with us", examples=["${JWT_SECRET}"]
    )
    public_key: str | None = Field(
        None,
        min_length=1,
        description="for RS256 or ES256: a public key or certificate in PEM",
        examples=["${file:/etc/keys/login.pem}"],
    )
    jwks_url: BaseUrl | None = Field(
        None,
        description="for RS256 and ES256: where the issuer publishes its keys",
        examples=["https://login.example.com/.well-known/jwks.json"],
    )
    issuer: str | None = Field(None, description="what `iss` has to be", examples=["https://login.example.com"])
    audience: str | None = Field(None, description="what `aud` has to be or to hold", examples=["oss-signer"])
    leeway: Duration = Field(timedelta(seconds=30), description="how far the clocks may be apart", examples=["30s"])
    claim: str = Field("sub", min_length=1, description="which claim names the caller", examples=["sub"])

    @model_validator(mode="after")
    def _one_key(self) -> JwtCallers:
        if sum(each is not None for each in (self.secret, self.public_key, self.jwks_url)) != 1:
            raise ValueError("needs one of secret, public_key and jwks_url")
        return self


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


Hashes = Annotated[tuple[Sha256, ...], BeforeValidator(_as_list, json_schema_input_type=Sha256 | tuple[Sha256, ...])]


class ApiKeyCallers(StrictModel):
    """The team's own servers, by the header `X-Api-Key`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"type": "api_key", "keys": {"shop": _KEY_HASH}}]})

    type: Literal["api_key"] = Field(description="this kind of caller")
    keys: dict[str, Hashes] = Field(
        min_length=1,
        description="SHA-256 of each key, or a list of them while it is changed, by the name of who holds it: "
        "`printf %s KEY | sha256sum`",
        examples=[{"shop": _KEY_HASH}],
    )


CallersEntry = Annotated[OpenCallers | WeChatCallers | JwtCallers | ApiKeyCallers, Field(discriminator="type")]


class PluginCallers(StrictModel):
    """A kind that another installed package offers; what it takes is its own business."""

    model_config = ConfigDict(extra="allow")

    type: str


_OWN = frozenset({"open", "wechat", "jwt", "api_key"})


def _or_other(value: Any, own: ValidatorFunctionWrapHandler) -> Any:
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind not in _OWN and kind in plugin_types():
        return PluginCallers.model_validate(value)
    return own(value)


AnyCallers = OpenCallers | WeChatCallers | JwtCallers | ApiKeyCallers | PluginCallers
Callers = Annotated[
    tuple[Annotated[CallersEntry, WrapValidator(_or_other)], ...],
    BeforeValidator(_as_list, json_schema_input_type=CallersEntry | tuple[CallersEntry, ...]),
]
"""One kind, or several of which the first decides whose credential is present."""
