"""The models of the YAML: all keys with their types and defaults.

The JSON Schema and docs/configuration.md are generated from the models: a new key is a field with a docstring and,
if its type has none, examples. Its Chinese description is in tools/configuration.zh-CN.yaml.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr, StrictBool

from signer.definitions.caller_model import Callers, OpenCallers
from signer.definitions.credential_model import CredentialEntry, StrictModel
from signer.definitions.download_model import Downloads
from signer.definitions.multipart_model import Multipart, OssEndpoint, Secrets
from signer.definitions.temporary_credentials_model import TemporaryCredentials
from signer.definitions.value_types import (
    Address,
    AppId,
    BaseUrl,
    Bucket,
    ByteRate,
    CallbackUrls,
    Duration,
    EmptyAsNone,
    FilePath,
    MediaType,
    MetaName,
    Network,
    Origin,
    QueueAddress,
    Rate,
    RedisAddress,
    Region,
    Size,
    Url,
    WebhookSecret,
)

ACLS = ("default", "private", "public-read", "public-read-write")
STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")


class Tls(StrictModel):
    """The certificate of the signer, for installations without nginx; a renewed file is loaded within seconds."""

    certificate: FilePath = Field(examples=["/etc/letsencrypt/live/upload.example.com/fullchain.pem"])
    """PEM file with the certificate, followed by the intermediate certificates."""
    key: FilePath = Field(examples=["/etc/letsencrypt/live/upload.example.com/privkey.pem"])
    """PEM file with the private key of the certificate, not encrypted."""


class Server(StrictModel):
    """Listen addresses, callbacks and the secret. A change takes effect at the next start, except that of `secret`."""

    listen: Address = "0.0.0.0:5000"
    """Public address, `host:port` or `unix:/path`; terminate TLS in nginx in front of it, or set `tls`."""
    tls: Tls | None = None
    """Serve HTTPS without nginx."""
    admin: Address = Field("127.0.0.1:9180", examples=["127.0.0.1:9180", "unix:/run/oss-signer/admin.sock"])
    """Address of health checks, metrics and status page, `host:port` or `unix:/path`; keep it private."""
    admin_token: SecretStr | None = Field(None, min_length=16, examples=["${ADMIN_TOKEN}"])
    """Token for `Authorization: Bearer` at the admin address; required where other machines can reach it."""
    health: Address | None = Field(None, examples=["0.0.0.0:5001"])
    """Address of `/healthz` and `/readyz` alone, for the health checks of load balancers on other machines; default:
    none, only at the admin address. The workers of a machine share it."""
    callback_queue: QueueAddress = Field(None, examples=["/var/lib/oss-signer/callbacks.db"])
    """Queue of callbacks until they are delivered: a file, or the URL of a Redis that several signers share."""
    callback_queue_limit: int = Field(100_000, ge=1, examples=[100_000])
    """Maximum number of callbacks in the queue. One app can have half as many as there are free places, so a third of
    the queue; beyond that, its callbacks are rejected and OSS answers its clients 203."""
    callback_timeout: Duration = Field(timedelta(seconds=10), examples=["10s"])
    """Timeout of one delivery to your server."""
    credential_fetch_rate: Rate = Field((30, 1), examples=["30/s"])
    """Maximum rate at which the signers of this machine fetch tokens, which they share equally. STS allows an account
    100 calls per second: divide them among your machines."""
    temporary_credential_rate: Rate = Field((20, 1), examples=["20/s"])
    """Maximum rate at which the signers of this machine fetch `temporary_credentials`, which they share equally. It and
    `credential_fetch_rate` are together at most 100/s."""
    callback_keys: BaseUrl | None = None
    """Another base URL of OSS's public keys, for the local cloud."""
    trusted_proxies: tuple[Network, ...] = Field((), examples=[["127.0.0.1/32", "10.0.0.0/8"]])
    """Proxies whose X-Forwarded-For is trusted; default: none, the client is the peer."""
    secret: Secrets = Field((), examples=["${SIGNER_SECRET}", ["${SIGNER_SECRET}", "${OLD_SIGNER_SECRET}"]])
    """Key that the tokens of multipart uploads are encrypted with, the same for all signers; `openssl rand -hex 32`
    makes one. To replace it, write a list of the new one and the old one until the `expires` of all uploads has passed.
    A change takes effect at once."""

    @classmethod
    def restart_keys(cls) -> list[str]:
        """Return the keys whose change takes effect only at the next start."""
        return [name for name in cls.model_fields if name != "secret"]


class AuthenticationLimit(StrictModel):
    """Maximum rates of login codes that are exchanged at WeChat or another platform; nothing else is counted."""

    per_app: Rate | None = Field((3000, 60), examples=["3000/m"])
    """For the whole app."""
    per_address: Rate | None = Field((120, 60), examples=["120/m"])
    """For each client address, or /64 of IPv6 addresses."""


class RateLimit(StrictModel):
    """Maximum rates of signatures and of the bytes to upload; beyond them, the response is 429 with `Retry-After`."""

    per_app: Rate | None = Field(None, examples=["200/s"])
    """For the whole app; default: no limit."""
    per_caller: Rate | None = Field(None, examples=["30/m"])
    """For each caller id, or each client address (IPv6: /64) with open callers; default: no limit."""
    per_address: Rate | None = Field(None, examples=["60/m"])
    """For each client address (IPv6: /64), counted before the caller is identified; default: no limit."""
    per_caller_bytes: ByteRate | None = Field(None, examples=["500MiB/d"])
    """Bytes of files, for each caller as in `per_caller`; default: no limit. Each request must declare the size of its
    file, and OSS accepts no other size."""
    per_app_bytes: ByteRate | None = Field(None, examples=["2GiB/h"])
    """Bytes of files, for the whole app; default: no limit."""
    authentication: AuthenticationLimit = AuthenticationLimit()
    """For logins by a code of WeChat or another platform, so that forged codes do not use up the app's quota there."""
    when_redis_is_gone: Literal["open", "closed"] = Field("open", examples=["open"])
    """With `limits`, while Redis is down: `open` counts in each signer alone, `closed` rejects requests."""

    @property
    def limits_requests(self) -> bool:
        return not (self.per_app is None and self.per_caller is None and self.per_address is None)

    @property
    def limits_bytes(self) -> bool:
        return not (self.per_caller_bytes is None and self.per_app_bytes is None)


class Notify(StrictModel):
    """Your server, to which verified callbacks are delivered at least once, in order for each object."""

    url: Url = Field(examples=["https://api.example.com/uploads"])
    """URL that events are posted to."""
    secret: WebhookSecret = Field(min_length=16, examples=["${NOTIFY_SECRET}"])
    """Key of the HMAC-SHA256 signature of each event: `whsec_` and the Base64 of 24 to 64 bytes, as Standard Webhooks
    defines it, or any other text."""


class Callback(StrictModel):
    """The request that OSS sends to your server after each upload.

    See: https://help.aliyun.com/zh/oss/developer-reference/callback
    """

    url: CallbackUrls = Field(examples=["https://api.example.com/oss"])
    """URL that OSS posts to; up to 5, separated by `;`, which OSS tries in order."""
    body: str = Field(min_length=1, examples=["bucket=${bucket}&object=${object}&etag=${etag}&size=${size}"])
    """Body that OSS posts; `${...}` in it are variables of OSS and not interpolated. With `notify`, it needs
    `${bucket}`, `${object}` and `${etag}`, and the signer adds OSS's `${reqId}`."""
    body_type: Literal["application/x-www-form-urlencoded", "application/json"] = Field(
        "application/x-www-form-urlencoded", examples=["application/x-www-form-urlencoded"]
    )
    """Media type of the body."""
    host: str | None = Field(None, examples=["api.example.com"])
    """Host header of OSS's request; default: the host of the URL."""
    notify: Notify | None = None
    """Deliver verified callbacks to your server, if `url` is this signer; needs `server.callback_queue`."""


class Defaults(StrictModel):
    """Values for all apps; an app may override each key."""

    headings: ClassVar[dict[str, str]] = {
        "name": "App",
        "domain": "Bucket and credentials",
        "key_prefix": "Object names",
        "min_size": "Allowed files",
        "expires": "Signed form",
        "callers": "Callers and limits",
    }
    """The headings of docs/configuration.md, by the first key of each group."""

    name: str = Field("", examples=["Photo wall"])
    """Display name."""
    enabled: StrictBool = Field(True, examples=[True])
    """`false`: requests for the app are rejected with `app_disabled`."""

    domain: Annotated[BaseUrl | None, EmptyAsNone] = None
    """Domain of yours that is bound to the bucket (CNAME), or the bucket's acceleration domain. Default:
    `https://BUCKET.oss-REGION.aliyuncs.com`, which in Chinese mainland regions is closed to accounts that are new since
    2025-03-20."""
    bucket: Bucket | None = None
    """Bucket that files are uploaded to."""
    region: Region | None = Field(None, examples=["cn-shanghai"])
    """Region id of the bucket."""
    legacy_endpoint: StrictBool = Field(False, examples=[True])
    """`true`: the account is older than 2025-03-20, so `check` and `domains` do not warn of an app without `domain`."""
    oss_endpoint: Annotated[OssEndpoint | None, EmptyAsNone] = Field(None, examples=["internal"])
    """Where the signer itself calls OSS for multipart uploads and deletes: `internal` for the region's internal
    endpoint, which is free of charge from ECS in this region, or a URL. Default: `domain`."""
    credentials: str | None = Field(None, examples=["uploader"])
    """Entry under `credentials` to sign with."""

    key_prefix: str = Field("", examples=["photos/{caller}/{yyyy}/{mm}/"])
    """Prefix of every object key; placeholders: `{app}` `{caller}` `{caller_hash}` `{yyyy}` `{mm}` `{dd}`.
    `{caller_hash}` is 32 hex digits, for ids that a key cannot contain, such as `auth0|5f7c`."""
    key: str = Field("client", examples=["{uuid}.{ext}", "client", "uuid"])
    """Object name after the prefix: `client` (the client chooses it, and forms suggest a unique one), `uuid` (an
    unguessable name), or a template with those of `key_prefix` and `{uuid}` `{filename}` `{stem}` `{ext}`."""

    min_size: Size = Field(1, examples=[1])
    """Minimum file size."""
    max_size: Size = Field(20 * 2**20, examples=["10MiB"])
    """Maximum file size; OSS accepts at most 5GiB."""
    content_types: tuple[MediaType, ...] = Field((), examples=[["image/jpeg", "image/png"]])
    """Allowed media types; `image/*` and the like stand for common types that run no script in browsers, so without
    SVG, HTML and XML; default: any."""

    expires: Duration = Field(timedelta(minutes=15), examples=["10m"])
    """Lifetime of a form, from 1s to 7d; at least 5m shorter than the lifetime of the role's tokens."""
    success_status: Literal[200, 201, 204] = Field(200, examples=[200])
    """Status that OSS responds with after an upload; 201 has an XML body."""
    headers: dict[str, str] = Field(
        {},
        examples=[{"x-oss-object-acl": "private", "x-oss-forbid-overwrite": "true"}],
        json_schema_extra={
            "properties": {
                "x-oss-object-acl": {"enum": list(ACLS)},
                "x-oss-storage-class": {"enum": list(STORAGE_CLASSES)},
                "x-oss-forbid-overwrite": {"enum": ["true", "false"]},
            }
        },
    )
    """Form fields with fixed values; put `true` and numbers in quotes. Full forms also fix
    `x-oss-object-acl: default` and `x-oss-storage-class: Standard`, unless they are set here."""
    conditions: tuple[Any, ...] = Field((), examples=[[["starts-with", "$x-oss-meta-team", "a"]]])
    """Additional PostObject conditions, as in https://help.aliyun.com/zh/oss/developer-reference/postobject."""
    meta: tuple[MetaName, ...] = Field((), examples=[["team", "taken-at"]])
    """Names of `x-oss-meta-` fields that clients may set."""
    callback: Callback | None = None
    """Request that OSS sends to your server after each upload."""
    downloads: Downloads | None = None
    """Signed download URLs; default: none."""
    deletes: StrictBool = Field(False, examples=[True])
    """`true`: callers may delete objects below their own prefix, which needs `{caller}` or `{caller_hash}` in
    `key_prefix`, and `oss:DeleteObject` for the role."""
    multipart: Multipart | None = None
    """Uploads of large files in parts; default: none."""
    temporary_credentials: TemporaryCredentials | None = None
    """Temporary credentials for clients with an SDK of OSS, such as ali-oss; default: none."""

    callers: Callers = (OpenCallers(type="open"),)
    """Who may request signatures; in a list, the first type whose credential the request has decides."""
    rate_limit: RateLimit = Field(RateLimit())
    """Maximum rates of signatures and of bytes."""
    cors_origins: tuple[Origin, ...] = Field((), examples=[["https://h5.example.com"]])
    """Origins of web pages that may send requests; `*` allows any, `http://localhost:*` each port of `localhost`."""
    generate_signature: StrictBool = Field(True, examples=[True])
    """`false`: reject `/generate_signature`, whose clients build the form themselves."""


class AppEntry(Defaults):
    """A mini-program, web page or other client, and the bucket that it uploads to."""

    bucket: Bucket
    """Bucket that files are uploaded to."""
    region: Region = Field(examples=["cn-shanghai"])
    """Region id of the bucket."""
    credentials: str = Field(examples=["uploader"])
    """Entry under `credentials` to sign with."""


class Definitions(StrictModel):
    """The definitions of a signer."""

    version: Literal[1]
    """Version of this format."""
    default_app: str | None = Field(None, examples=["wx1234567890abcdef"])
    """App of requests that name none."""
    server: Server = Field(Server())
    """Listen addresses, callbacks and the secret."""
    limits: RedisAddress = Field(None, examples=["redis://redis:6379/0"])
    """URL of a Redis in which several signers share their rate limits; default: each signer counts alone."""
    audit: str | None = Field(None, min_length=1, examples=["/var/log/oss-signer/audit.log", "stdout"])
    """Audit log with one JSON line for each signature: a file, or `stdout`."""
    credentials: dict[str, CredentialEntry]
    """Sources of tokens to sign with, by a name of your choice."""
    defaults: Defaults = Field(Defaults())
    """Values for all apps; an app may override each key."""
    apps: dict[AppId, AppEntry]
    """Apps by id, such as a WeChat app id."""


def all_models(base: type[StrictModel] = StrictModel) -> Iterator[type[StrictModel]]:
    """Yield the model of every mapping in the YAML."""
    for entry in base.__subclasses__():
        yield entry
        yield from all_models(entry)
