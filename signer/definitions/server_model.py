"""The models of `server`: listen addresses, TLS and the callback queue."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, SecretStr

from signer.definitions.credential_model import StrictModel
from signer.definitions.value_types import Address, BaseUrl, Duration, FilePath, Network


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
