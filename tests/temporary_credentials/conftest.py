"""A signer with temporary credentials in the test's own process; the local cloud issues them and judges uploads."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any, cast

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest_asyncio
from aiohttp.test_utils import TestClient
from alibabacloud_oss_v2.aio import AsyncClient

from signer.api.routes import public_routes
from signer.definitions.parser import parse
from signer.delivery.receiver import CallbackReceiver
from signer.service import Service
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service
from tests.harness.local_cloud import Cloud, local_cloud
from tests.localcloud.forms import Key
from tests.localcloud.sdk import ROLE

API_KEY = "the-key-of-the-shop"


def definitions(cloud: Cloud, *, top: str = "", entries: str = "", **changes: str) -> str:
    """Return definitions; `changes` replace or add keys of the app `photos`, as YAML, `entries` are more credentials."""
    app = {"temporary_credentials": "{}", "key_prefix": "p/{caller}/", "downloads": "{}", **changes}
    lines = "\n".join(f"    {key}: {value}" for key, value in app.items())
    entry = f"type: assume_role, role_arn: '{ROLE}', endpoint: '{cloud.sts}'"
    return f"""
version: 1
{top}
credentials:
  uploader: {{{entry}, access_key_id: LTAI-local, access_key_secret: local-secret}}
  chained: {{{entry}, source: uploader}}
{entries}
defaults:
  bucket: photos
  region: cn-hangzhou
  domain: "{cloud.oss}/photos"
  credentials: uploader
  callers: {{type: api_key, keys: {{shop: {sha256(API_KEY.encode()).hexdigest()}}}}}
apps:
  photos:
{lines}
  forms: {{key_prefix: "f/{{caller}}/"}}
"""


@dataclass
class Response:
    """A response of the signer."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass
class CredentialSigner:
    """A running signer, its cloud, and clients of both."""

    service: Service
    cloud: Cloud
    client: TestClient[Any, Any]

    async def request(
        self, method: str, path: str, *, caller: str = "ann", key: str = API_KEY, app: str = "photos", **options: Any
    ) -> Response:
        """Send a request of a caller."""
        headers = {"X-Api-Key": key, "X-Caller": caller}
        async with self.client.request(method, f"/v1/apps/{app}/{path}", headers=headers, **options) as response:
            return Response(
                response.status,
                await response.json(content_type=None) if response.status != 204 else None,
                response.headers,
            )

    async def issue(self, caller: str = "ann", app: str = "photos") -> dict[str, Any]:
        """Return the response with a caller's credential."""
        response = await self.request("POST", "credentials", caller=caller, app=app)
        assert response.status == 200, response.body
        document: dict[str, Any] = response.body
        return document

    async def download(self, key: str, caller: str = "ann") -> tuple[int, bytes]:
        """Have the signer sign a URL, and return the status and the content that OSS responds with."""
        signed = await self.request("GET", "downloads", caller=caller, params={"key": key})
        assert signed.status == 200, signed.body
        async with self.cloud.session.get(signed.body["url"]) as response:
            return response.status, await response.read()

    async def delete(self, key: str) -> Response:
        """Delete an object of a caller."""
        return await self.request("DELETE", "objects", params={"key": key})

    async def assumed(self) -> int:
        """Return how often a role was assumed."""
        return (await self.cloud.counts()).get("sts.AssumeRole", 0)

    async def redefine(self, text: str) -> None:
        """Replace the definitions, as a reload does."""
        await self.service.activate(parse({"signer.yaml": text}, {}), settle_seconds=5)


@contextlib.asynccontextmanager
async def credential_signer(
    cloud: Cloud, text: str, environ: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[CredentialSigner]:
    """Run a signer with these definitions."""
    async with running_service(text, environ) as service:
        router = public_routes(service, cast(CallbackReceiver, None))
        client: TestClient[Any, Any] = TestClient(HttpTestServer(service, router, ADAPTERS["fast"]))
        async with client:
            yield CredentialSigner(service, cloud, client)


def sdk_client(document: Mapping[str, Any]) -> AsyncClient:
    """Return Alibaba's SDK with the members of a response."""
    provider = oss.credentials.StaticCredentialsProvider(
        document["AccessKeyId"], document["AccessKeySecret"], document["SecurityToken"]
    )
    target = document["target"]
    config = oss.Config(
        region=target["region"],
        endpoint=target["endpoint"],
        use_cname=target["cname"],
        credentials_provider=provider,
        retry_max_attempts=1,
    )
    return AsyncClient(config)


def account_client(cloud: Cloud) -> AsyncClient:
    """Return Alibaba's SDK with the AccessKey of the account, which may do everything."""
    key = Key()
    target = {"region": "cn-hangzhou", "endpoint": cloud.oss, "cname": False}
    return sdk_client({"AccessKeyId": key.id, "AccessKeySecret": key.secret, "SecurityToken": None, "target": target})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud() -> AsyncIterator[Cloud]:
    async with (
        aiohttp.ClientSession() as session,
        local_cloud(session, "--bucket", "photos=cn-hangzhou", public_read=False) as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def photos(cloud: Cloud) -> AsyncIterator[CredentialSigner]:
    await cloud.set_faults()
    async with credential_signer(cloud, definitions(cloud)) as running:
        yield running
