"""The YAML's typed, frozen models: what may be written, with the defaults.

The JSON Schema, docs/configuration.md and the example in it are made from what stands here: a new key is a field with a
description and, where its kind has none, examples.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr, StrictBool

from signer.definitions.caller_model import AnyCallers as AnyCallers
from signer.definitions.caller_model import ApiKeyCallers as ApiKeyCallers
from signer.definitions.caller_model import Callers as Callers
from signer.definitions.caller_model import CallersEntry as CallersEntry
from signer.definitions.caller_model import JwtCallers as JwtCallers
from signer.definitions.caller_model import OpenCallers as OpenCallers
from signer.definitions.caller_model import PluginCallers as PluginCallers
from signer.definitions.caller_model import WeChatCallers as WeChatCallers
from signer.definitions.credential_model import AssumeRole as AssumeRole
from signer.definitions.credential_model import CredentialEntry as CredentialEntry
from signer.definitions.credential_model import DefaultChain as DefaultChain
from signer.definitions.credential_model import EcsRamRole as EcsRamRole
from signer.definitions.credential_model import OidcRole as OidcRole
from signer.definitions.credential_model import StaticCredential as StaticCredential
from signer.definitions.credential_model import StrictModel as StrictModel
from signer.definitions.credential_model import StsRole as StsRole
from signer.definitions.value_types import (
    Address,
    AppId,
    BaseUrl,
    Bucket,
    CallbackUrls,
    Duration,
    EmptyAsNone,
    FilePath,
    MediaType,
    MetaName,
    Network,
    Origin,
    Rate,
    Region,
    Size,
)

ACLS = ("default", "private", "public-read", "public-read-write")
STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")


class Tls(StrictModel):
    """A certificate of the signer's own, for installations without nginx; a renewed one is taken up at once."""

    certificate: FilePath = Field(
        description="PEM file: the certificate, and behind it those that it was issued with",
        examples=["/etc/letsencrypt/live/upload.example.com/fullchain.pem"],
    )
    key: FilePath = Field(
        description="PEM file: the certificate's private key, not encrypted",
        examples=["/etc/letsencrypt/live/upload.example.com/privkey.pem"],
    )


class Server(StrictModel):
    """Where the signer listens. A change counts from the next start on."""

    listen: Address = Field(
        "0.0.0.0:5000",
        description="public address, `host:port` or `unix:/path`; put nginx with TLS before it, or see `tls`",
    )
    tls: Tls | None = Field(None, description="serve HTTPS without nginx")
    admin: Address = Field(
        "127.0.0.1:9180",
        description="address of health, metrics and status: `host:port` or `unix:/path`; never public",
        examples=["127.0.0.1:9180", "unix:/run/oss-signer/admin.sock"],
    )
    admin_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="what `Authorization: Bearer` must hold there; needed where other machines can reach it",
        examples=["${ADMIN_TOKEN:-at-least-16-characters}"],
    )
    callback_queue: SecretStr | None = Field(
        None,
        description="where callbacks wait until they are handed on: a file, or a Redis that several signers share",
        examples=["/var/lib/oss-signer/callbacks.db"],
    )
    callback_queue_limit: int = Field(
        100_000,
        ge=1,
        description="so many callbacks may wait; more are refused, and the client gets 203",
        examples=[100_000],
    )
    callback_timeout: Duration = Field(
        timedelta(seconds=10), description="how long a server of yours may take to accept one", examples=["10s"]
    )
    callback_keys: BaseUrl | None = Field(None, description="a further place of OSS's public keys, for the local cloud")
    trusted_proxies: tuple[Network, ...] = Field(
        (),
        description="proxies whose X-Forwarded-For is believed; none: the peer's own address counts",
        examples=[["127.0.0.1/32", "10.0.0.0/8"]],
    )


class RateLimit(StrictModel):
    """How often forms are given out; beyond it, 429 with `Retry-After`."""

    per_app: Rate | None = Field(None, description="for the whole app; not given: no limit", examples=["200/s"])
    per_caller: Rate | None = Field(
        None,
        description="for each caller id, or each address where anyone may ask; not given: no limit",
        examples=["30/m"],
    )
    per_address: Rate | None = Field(
        None, description="for each address, counted before anybody is asked who they are", examples=["60/m"]
    )
    when_redis_is_gone: Literal["open", "closed"] = Field(
        "open",
        description="with `limits`: `open` goes on with each signer's own counts, `closed` refuses",
        examples=["open"],
    )

    @property
    def is_unlimited(self) -> bool:
        return self.per_app is None and self.per_caller is None and self.per_address is None


class Downloads(StrictModel):
    """URLs to read what a caller has uploaded; `key_prefix` must hold `{caller}`, the role may `oss:GetObject`."""

    expires: Duration = Field(timedelta(minutes=5), description="how long a URL may be used", examples=["5m"])


class Notify(StrictModel):
    """Where checked callbacks are handed on to, at least once and in order per object."""

    url: BaseUrl = Field(description="where they are posted", examples=["https://api.example.com/uploads"])
    secret: SecretStr = Field(
        min_length=16,
        description="signs what is posted, with HMAC-SHA256",
        examples=["${NOTIFY_SECRET:-at-least-16-characters}"],
    )


class Callback(StrictModel):
    """What OSS tells your server after each upload (help page `callback`)."""

    url: CallbackUrls = Field(
        description="where OSS posts it; up to 5 with `;` between, tried in turn",
        examples=["https://api.example.com/oss"],
    )
    body: str = Field(
        min_length=1,
        description="what OSS posts; `${...}` in it are OSS's own variables and left alone",
        examples=["bucket=${bucket}&object=${object}&size=${size}"],
    )
    body_type: Literal["application/x-www-form-urlencoded", "application/json"] = Field(
        "application/x-www-form-urlencoded",
        description="the body's media type",
        examples=["application/x-www-form-urlencoded"],
    )
    host: str | None = Field(
        None, description="the Host header of OSS's request; not given: the URL's", examples=["api.example.com"]
    )
    notify: Notify | None = Field(
        None, description="your server, where `url` is this signer's; needs `server.callback_queue`"
    )


class Defaults(StrictModel):
    """What apps have in common; each may say otherwise."""

    headings: ClassVar[dict[str, str]] = {
        "name": "What it is",
        "bucket": "Where the files go",
        "key_prefix": "What the objects are called",
        "min_size": "What may be uploaded",
        "expires": "What is fixed in the form",
        "callers": "Who may ask, and how often",
    }
    """For docs/configuration.md: by the key that each group of keys begins with."""

    name: str = Field("", description="for people", examples=["Photo wall"])
    enabled: StrictBool = Field(
        True, description="`false`: requests for it are refused with `app_disabled`", examples=[True]
    )

    bucket: Bucket | None = Field(None, description="the bucket")
    region: Region | None = Field(None, description="the bucket's region id", examples=["cn-shanghai"])
    domain: Annotated[BaseUrl | None, EmptyAsNone] = Field(
        None,
        description="a CNAME or accelerate domain to upload to; not given: `https://BUCKET.oss-REGION.aliyuncs.com`",
    )
    credentials: str | None = Field(None, description="the entry under `credentials` that signs", examples=["uploader"])

    key_prefix: str = Field(
        "",
        description="every object key starts with it; may hold `{app}` `{caller}` `{yyyy}` `{mm}` `{dd}`",
        examples=["photos/{caller}/{yyyy}/{mm}/"],
    )
    key: str = Field(
        "client",
        description="what follows the prefix: `client` lets the client name the object, `uuid` makes a name that "
        "nobody can guess, and a template may hold `{uuid}` `{filename}` `{stem}` `{ext}` besides",
        examples=["{uuid}.{ext}", "client", "uuid"],
    )

    min_size: Size = Field(1, description="the smallest file", examples=[1])
    max_size: Size = Field(20 * 2**20, description="the largest file; OSS takes at most 5GiB", examples=["10MiB"])
    content_types: tuple[MediaType, ...] = Field(
        (), description="media types, exact or like `image/*`; none: any", examples=[["image/jpeg", "image/png"]]
    )

    expires: Duration = Field(
        timedelta(minutes=15),
        description="how long a form may be used, from 1s to 7d; its role's token must last 5m longer",
        examples=["10m"],
    )
    success_status: Literal[200, 201, 204] = Field(
        200, description="what OSS answers after an upload; 201 comes with an XML body", examples=[200]
    )
    headers: dict[str, str] = Field(
        {},
        description="form fields with a fixed value; put `true` and numbers in quotes",
        examples=[{"x-oss-object-acl": "private", "x-oss-forbid-overwrite": "true"}],
        json_schema_extra={
            "properties": {
                "x-oss-object-acl": {"enum": list(ACLS)},
                "x-oss-storage-class": {"enum": list(STORAGE_CLASSES)},
                "x-oss-forbid-overwrite": {"enum": ["true", "false"]},
            },
        },
    )
    conditions: tuple[Any, ...] = Field(
        (),
        description="further PostObject conditions, as Alibaba documents them (help page `postobject`)",
        examples=[[["starts-with", "$x-oss-meta-team", "a"]]],
    )
    meta: tuple[MetaName, ...] = Field(
        (), description="`x-oss-meta-` names that a client may give a value", examples=[["team", "taken-at"]]
    )
    callback: Callback | None = Field(None, description="what OSS tells your server after each upload")
    downloads: Downloads | None = Field(None, description="not given: none")

    callers: Callers = Field(
        (OpenCallers(type="open"),),
        description="who may ask; of a list, the first decides whose credential is present",
    )
    rate_limit: RateLimit = Field(RateLimit(), description="how often")
    cors_origins: tuple[Origin, ...] = Field(
        (),
        description="web pages that may ask from a browser, by origin; `*` is any",
        examples=[["https://h5.example.com"]],
    )
    generate_signature: StrictBool = Field(
        True, description="`false`: refuse `/generate_signature`, whose clients build their own form", examples=[True]
    )


class App(Defaults):
    """One mini-program and the bucket it uploads to."""

    bucket: Bucket = Field(description="the bucket")
    region: Region = Field(description="the bucket's region id", examples=["cn-shanghai"])
    credentials: str = Field(description="the entry under `credentials` that signs", examples=["uploader"])


class Definitions(StrictModel):
    """All that the signer knows."""

    version: Literal[1] = Field(description="of this format")
    default_app: str | None = Field(
        None, description="the app of requests that name none", examples=["wx1234567890abcdef"]
    )
    server: Server = Field(Server(), description="where the signer listens")
    limits: SecretStr | None = Field(
        None,
        description="a Redis in which several signers count together; not given: each counts by itself",
        examples=["redis://redis:6379/0"],
    )
    audit: str | None = Field(
        None,
        min_length=1,
        description="one JSON line for each signature goes here: a file, or `stdout`",
        examples=["/var/log/oss-signer/audit.log", "stdout"],
    )
    credentials: dict[str, CredentialEntry] = Field(description="who signs: each entry is one role, by a name of yours")
    defaults: Defaults = Field(Defaults(), description="what apps have in common; each may say otherwise")
    apps: dict[AppId, App] = Field(description="the apps, by their WeChat app id")
