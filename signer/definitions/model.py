"""The models of the YAML: all keys with their types and defaults.

The JSON Schema and docs/configuration.md are generated from the models: a new key is a field with a description and,
if its type has none, examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr, StrictBool

from signer.definitions.caller_model import Callers, OpenCallers
from signer.definitions.credential_model import CredentialEntry, StrictModel
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
    """The certificate of the signer, for installations without nginx; a renewed file is loaded within seconds."""

    certificate: FilePath = Field(
        description="PEM file with the certificate, followed by the intermediate certificates",
        examples=["/etc/letsencrypt/live/upload.example.com/fullchain.pem"],
    )
    key: FilePath = Field(
        description="PEM file with the private key of the certificate, not encrypted",
        examples=["/etc/letsencrypt/live/upload.example.com/privkey.pem"],
    )


class Server(StrictModel):
    """Listen addresses and callbacks. A change takes effect at the next start."""

    listen: Address = Field(
        "0.0.0.0:5000",
        description="public address, `host:port` or `unix:/path`; terminate TLS in nginx in front of it, or set `tls`",
    )
    tls: Tls | None = Field(None, description="serve HTTPS without nginx")
    admin: Address = Field(
        "127.0.0.1:9180",
        description="address of health checks, metrics and status page, `host:port` or `unix:/path`; keep it private",
        examples=["127.0.0.1:9180", "unix:/run/oss-signer/admin.sock"],
    )
    admin_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="token that `Authorization: Bearer` must contain at the admin address; required where other machines can reach it",
        examples=["${ADMIN_TOKEN:-at-least-16-characters}"],
    )
    callback_queue: SecretStr | None = Field(
        None,
        description="queue of callbacks until they are delivered: a file, or the URL of a Redis that several signers share",
        examples=["/var/lib/oss-signer/callbacks.db"],
    )
    callback_queue_limit: int = Field(
        100_000,
        ge=1,
        description="maximum number of callbacks in the queue; beyond it, a callback is rejected and OSS answers the client 203",
        examples=[100_000],
    )
    callback_timeout: Duration = Field(
        timedelta(seconds=10), description="timeout of one delivery to your server", examples=["10s"]
    )
    callback_keys: BaseUrl | None = Field(
        None, description="another base URL of OSS's public keys, for the local cloud"
    )
    trusted_proxies: tuple[Network, ...] = Field(
        (),
        description="proxies whose X-Forwarded-For is trusted; default: none, the client is the peer",
        examples=[["127.0.0.1/32", "10.0.0.0/8"]],
    )


class RateLimit(StrictModel):
    """Maximum rates of signatures; beyond them, the response is 429 with `Retry-After`."""

    per_app: Rate | None = Field(None, description="for the whole app; default: no limit", examples=["200/s"])
    per_caller: Rate | None = Field(
        None,
        description="for each caller id, or each client address with open callers; default: no limit",
        examples=["30/m"],
    )
    per_address: Rate | None = Field(
        None,
        description="for each client address, counted before the caller is identified; default: no limit",
        examples=["60/m"],
    )
    when_redis_is_gone: Literal["open", "closed"] = Field(
        "open",
        description="with `limits`, while Redis is down: `open` counts in each signer alone, `closed` rejects requests",
        examples=["open"],
    )

    @property
    def is_unlimited(self) -> bool:
        return self.per_app is None and self.per_caller is None and self.per_address is None


class Downloads(StrictModel):
    """Signed URLs of a caller's own objects; needs `{caller}` in `key_prefix` and a role that allows `oss:GetObject`."""

    expires: Duration = Field(timedelta(minutes=5), description="lifetime of a URL", examples=["5m"])


class Notify(StrictModel):
    """Your server, to which verified callbacks are delivered at least once, in order for each object."""

    url: BaseUrl = Field(description="URL that events are posted to", examples=["https://api.example.com/uploads"])
    secret: SecretStr = Field(
        min_length=16,
        description="key of the HMAC-SHA256 signature of each event",
        examples=["${NOTIFY_SECRET:-at-least-16-characters}"],
    )


class Callback(StrictModel):
    """The request that OSS sends to your server after each upload.

    See: https://help.aliyun.com/zh/oss/developer-reference/callback
    """

    url: CallbackUrls = Field(
        description="URL that OSS posts to; up to 5, separated by `;`, which OSS tries in order",
        examples=["https://api.example.com/oss"],
    )
    body: str = Field(
        min_length=1,
        description="body that OSS posts; `${...}` in it are variables of OSS and not interpolated",
        examples=["bucket=${bucket}&object=${object}&size=${size}"],
    )
    body_type: Literal["application/x-www-form-urlencoded", "application/json"] = Field(
        "application/x-www-form-urlencoded",
        description="media type of the body",
        examples=["application/x-www-form-urlencoded"],
    )
    host: str | None = Field(
        None, description="Host header of OSS's request; default: the host of the URL", examples=["api.example.com"]
    )
    notify: Notify | None = Field(
        None,
        description="deliver verified callbacks to your server, if `url` is this signer; needs `server.callback_queue`",
    )


class Defaults(StrictModel):
    """Values for all apps; an app may override each key."""

    headings: ClassVar[dict[str, str]] = {
        "name": "App",
        "bucket": "Bucket and credentials",
        "key_prefix": "Object names",
        "min_size": "Allowed files",
        "expires": "Signed form",
        "callers": "Callers and limits",
    }
    """The headings of docs/configuration.md, by the first key of each group."""

    name: str = Field("", description="display name", examples=["Photo wall"])
    enabled: StrictBool = Field(
        True, description="`false`: requests for the app are rejected with `app_disabled`", examples=[True]
    )

    bucket: Bucket | None = Field(None, description="bucket that files are uploaded to")
    region: Region | None = Field(None, description="region id of the bucket", examples=["cn-shanghai"])
    domain: Annotated[BaseUrl | None, EmptyAsNone] = Field(
        None,
        description="custom or acceleration domain to upload to; default: `https://BUCKET.oss-REGION.aliyuncs.com`",
    )
    credentials: str | None = Field(None, description="entry under `credentials` to sign with", examples=["uploader"])

    key_prefix: str = Field(
        "",
        description="prefix of every object key; placeholders: `{app}` `{caller}` `{yyyy}` `{mm}` `{dd}`",
        examples=["photos/{caller}/{yyyy}/{mm}/"],
    )
    key: str = Field(
        "client",
        description="object name after the prefix: `client` (the client chooses it), `uuid` (an unguessable name), or "
        "a template with those of `key_prefix` and `{uuid}` `{filename}` `{stem}` `{ext}`",
        examples=["{uuid}.{ext}", "client", "uuid"],
    )

    min_size: Size = Field(1, description="minimum file size", examples=[1])
    max_size: Size = Field(20 * 2**20, description="maximum file size; OSS accepts at most 5GiB", examples=["10MiB"])
    content_types: tuple[MediaType, ...] = Field(
        (),
        description="allowed media types; `image/*` and the like stand for common types that run no script in browsers, "
        "so without SVG, HTML and XML; default: any",
        examples=[["image/jpeg", "image/png"]],
    )

    expires: Duration = Field(
        timedelta(minutes=15),
        description="lifetime of a form, from 1s to 7d; at least 5m shorter than the lifetime of the role's tokens",
        examples=["10m"],
    )
    success_status: Literal[200, 201, 204] = Field(
        200, description="status that OSS responds with after an upload; 201 has an XML body", examples=[200]
    )
    headers: dict[str, str] = Field(
        {},
        description="form fields with fixed values; put `true` and numbers in quotes",
        examples=[{"x-oss-object-acl": "private", "x-oss-forbid-overwrite": "true"}],
        json_schema_extra={
            "properties": {
                "x-oss-object-acl": {"enum": list(ACLS)},
                "x-oss-storage-class": {"enum": list(STORAGE_CLASSES)},
                "x-oss-forbid-overwrite": {"enum": ["true", "false"]},
            }
        },
    )
    conditions: tuple[Any, ...] = Field(
        (),
        description="additional PostObject conditions, as in https://help.aliyun.com/zh/oss/developer-reference/postobject",
        examples=[[["starts-with", "$x-oss-meta-team", "a"]]],
    )
    meta: tuple[MetaName, ...] = Field(
        (), description="names of `x-oss-meta-` fields that clients may set", examples=[["team", "taken-at"]]
    )
    callback: Callback | None = Field(None, description="request that OSS sends to your server after each upload")
    downloads: Downloads | None = Field(None, description="signed download URLs; default: none")

    callers: Callers = Field(
        (OpenCallers(type="open"),),
        description="who may request signatures; in a list, the first type whose credential the request has decides",
    )
    rate_limit: RateLimit = Field(RateLimit(), description="maximum rates of signatures")
    cors_origins: tuple[Origin, ...] = Field(
        (),
        description="origins of web pages that may send requests; `*` allows any",
        examples=[["https://h5.example.com"]],
    )
    generate_signature: StrictBool = Field(
        True,
        description="`false`: reject `/generate_signature`, whose clients build the form themselves",
        examples=[True],
    )


class AppEntry(Defaults):
    """A mini-program, web page or other client, and the bucket that it uploads to."""

    bucket: Bucket = Field(description="bucket that files are uploaded to")
    region: Region = Field(description="region id of the bucket", examples=["cn-shanghai"])
    credentials: str = Field(description="entry under `credentials` to sign with", examples=["uploader"])


class Definitions(StrictModel):
    """The definitions of a signer."""

    version: Literal[1] = Field(description="version of this format")
    default_app: str | None = Field(None, description="app of requests that name none", examples=["wx1234567890abcdef"])
    server: Server = Field(Server(), description="listen addresses and callbacks")
    limits: SecretStr | None = Field(
        None,
        description="Redis in which several signers share their rate limits; default: each signer counts alone",
        examples=["redis://redis:6379/0"],
    )
    audit: str | None = Field(
        None,
        min_length=1,
        description="audit log with one JSON line for each signature: a file, or `stdout`",
        examples=["/var/log/oss-signer/audit.log", "stdout"],
    )
    credentials: dict[str, CredentialEntry] = Field(
        description="sources of tokens to sign with, by a name of your choice"
    )
    defaults: Defaults = Field(Defaults(), description="values for all apps; an app may override each key")
    apps: dict[AppId, AppEntry] = Field(description="apps by id, such as a WeChat app id")


def all_models(base: type[StrictModel] = StrictModel) -> Iterator[type[StrictModel]]:
    """Yield the model of every mapping in the YAML."""
    for entry in base.__subclasses__():
        yield entry
        yield from all_models(entry)
