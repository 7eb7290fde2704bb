"""The models of `callers`: who may request signatures."""

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

from signer.definitions.api_key_hash import EXAMPLE_HASH
from signer.definitions.credential_model import StrictModel
from signer.definitions.value_types import AppId, BaseUrl, Duration, Sha256, Url
from signer.plugins import CALLERS, plugin_names


class OpenCallers(StrictModel):
    """Every client may request signatures."""

    example_keys = ("type",)

    type: Literal["open"]
    """Type of callers."""


class CodeLoginCallers(StrictModel):
    """What the logins of all mini-program platforms share; each platform sets its own example, endpoint and secret."""

    session: Duration = Field(timedelta(hours=2), examples=["2h"])
    """Lifetime of a session, from 5m to 7d."""
    timeout: Duration = Field(timedelta(seconds=3), examples=["3s"])
    """Timeout of a request to the platform."""
    app_id: AppId | None = None
    """Id of the mini-program; default: the id of the app."""
    endpoint: BaseUrl


class WeChatCallers(CodeLoginCallers):
    """Users of a mini-program: `X-WX-Code` contains the code of wx.login, later requests contain the session.

    See: https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html
    """

    example_keys = ("type", "secret")

    type: Literal["wechat"]
    """Type of callers."""
    secret: SecretStr = Field(min_length=1, examples=["${WX_SECRET}"])
    """AppSecret of the mini-program."""
    app_id: AppId | None = Field(None, examples=["wx1234567890abcdef"])
    """Id of the mini-program; default: the id of the app."""
    endpoint: BaseUrl = Field("https://api.weixin.qq.com", examples=["https://api.weixin.qq.com"])
    """Another WeChat API server, such as the local cloud."""


class DouyinCallers(CodeLoginCallers):
    """Users of a Douyin mini-program: `X-WX-Code` contains the code of tt.login, later requests contain the session.

    See: https://developer.open-douyin.com/docs/resource/zh-CN/mini-app/develop/server/log-in/code-2-session
    """

    example_keys = ("type", "secret")

    type: Literal["douyin"]
    """Type of callers."""
    secret: SecretStr = Field(min_length=1, examples=["${DOUYIN_SECRET}"])
    """AppSecret of the mini-program."""
    app_id: AppId | None = Field(None, examples=["tt1234567890abcdef01"])
    """Id of the mini-program; default: the id of the app."""
    endpoint: BaseUrl = Field("https://developer.toutiao.com", examples=["https://developer.toutiao.com"])
    """Another Douyin API server, such as the local cloud."""


class AlipayCallers(CodeLoginCallers):
    """Users of an Alipay mini-program: `X-WX-Code` contains the code of my.getAuthCode, later requests the session.

    See: https://opendocs.alipay.com/apis/api_9/alipay.system.oauth.token
    """

    example_keys = ("type", "private_key")

    type: Literal["alipay"]
    """Type of callers."""
    private_key: SecretStr = Field(min_length=1, examples=["${file:/etc/keys/alipay.pem}"])
    """Private key of the app for RSA2, as Alipay's key tool writes it or in PEM; Alipay has the public key."""
    app_id: AppId | None = Field(None, examples=["2021001234567890"])
    """Id of the mini-program; default: the id of the app."""
    endpoint: BaseUrl = Field("https://openapi.alipay.com", examples=["https://openapi.alipay.com"])
    """Another Alipay gateway, such as the sandbox or the local cloud."""


class JwtCallers(StrictModel):
    """Clients with a token of your login in `Authorization: Bearer`; set `secret`, `public_key` or `jwks_url`."""

    example_keys = ("type", "jwks_url", "issuer", "audience")

    type: Literal["jwt"]
    """Type of callers."""
    secret: SecretStr | None = Field(None, min_length=1, examples=["${JWT_SECRET}"])
    """For HS256: the secret that the issuer signs with."""
    secret_encoding: Literal["text", "base64"] = Field("text", examples=["text"])
    """`base64` if the issuer signs with the bytes that `secret` encodes, as many Java libraries do."""
    public_key: str | None = Field(None, min_length=1, examples=["${file:/etc/keys/login.pem}"])
    """For RS256 or ES256: public key or certificate in PEM."""
    jwks_url: Url | None = Field(None, examples=["https://login.example.com/.well-known/jwks.json"])
    """For RS256 and ES256: URL of the issuer's key set."""
    issuer: str | None = Field(None, examples=["https://login.example.com"])
    """Required value of `iss`."""
    audience: str | None = Field(None, examples=["oss-signer"])
    """Value that `aud` must be or contain."""
    leeway: Duration = Field(timedelta(seconds=30), examples=["30s"])
    """Allowed clock difference to the issuer."""
    claim: str = Field("sub", min_length=1, examples=["sub"])
    """Claim with the caller id."""

    @property
    def is_secret_base64(self) -> bool:
        return self.secret_encoding == "base64"  # noqa: S105

    @model_validator(mode="after")
    def _one_key(self) -> JwtCallers:
        if sum(each is not None for each in (self.secret, self.public_key, self.jwks_url)) != 1:
            raise ValueError("exactly one of secret, public_key and jwks_url is needed; write one of them")
        if self.secret is None and self.is_secret_base64:
            raise ValueError("secret_encoding belongs to secret; remove it")
        return self


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


Hashes = Annotated[tuple[Sha256, ...], BeforeValidator(_as_list, json_schema_input_type=Sha256 | tuple[Sha256, ...])]


class ApiKeyCallers(StrictModel):
    """Your own servers, with an API key in the header `X-Api-Key`."""

    example_keys = ("type", "keys")

    type: Literal["api_key"]
    """Type of callers."""
    keys: dict[str, Hashes] = Field(min_length=1, examples=[{"shop": EXAMPLE_HASH}])
    """SHA-256 of each API key by the name of the caller, or a list of two while a key is replaced; `printf %s KEY |
    sha256sum` prints it."""


CallersEntry = Annotated[
    OpenCallers | WeChatCallers | DouyinCallers | AlipayCallers | JwtCallers | ApiKeyCallers,
    Field(discriminator="type"),
]


class PluginCallers(StrictModel):
    """Callers of a type that another installed package provides; the package validates its keys."""

    model_config = ConfigDict(extra="allow")

    type: str


BUILT_IN = frozenset({"open", "wechat", "douyin", "alipay", "jwt", "api_key"})


def _or_plugin(value: Any, built_in: ValidatorFunctionWrapHandler) -> Any:
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind not in BUILT_IN and kind in plugin_names(CALLERS):
        return PluginCallers.model_validate(value)
    return built_in(value)


AnyCallers = OpenCallers | WeChatCallers | DouyinCallers | AlipayCallers | JwtCallers | ApiKeyCallers | PluginCallers
Callers = Annotated[
    tuple[Annotated[CallersEntry, WrapValidator(_or_plugin)], ...],
    BeforeValidator(_as_list, json_schema_input_type=CallersEntry | tuple[CallersEntry, ...]),
]
"""One type or several; the first whose credential the request has decides."""
