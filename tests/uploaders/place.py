"""A signer and a local cloud for uploaders: OSS that stores, OSS that stalls, and OSS that refuses."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.callers.stub import stub
from tests.harness.bad_network import BadNetwork, bad_network
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.signer import signer

API_KEY = "the-key-of-the-shop"
JWT_SECRET = "a-secret-that-the-login-and-the-signer-share"
BUCKET, STALLED_BUCKET = "photos", "stalled"
STALLS_AFTER_BYTES = 2**20
MAX_BYTES = 2**25


@dataclass(frozen=True)
class Place:
    """The addresses of the apps."""

    signer: str
    cloud: Cloud
    network: BadNetwork
    """Stalls each upload to the app `stalled`, once it has received a mebibyte."""

    def app(self, name: str) -> str:
        """Return the URL of an app: `photos`, `stalled`, or `refused`, whose AccessKey does not exist."""
        return f"{self.signer}/v1/apps/{name}"

    async def set_cors(self, rules: list[dict[str, list[str]]]) -> None:
        """Replace the CORS rules of both buckets."""
        for bucket in (BUCKET, STALLED_BUCKET):
            url = f"{self.cloud.oss}/-/buckets/{bucket}/cors"
            async with self.cloud.session.put(url, json=rules) as response:
                assert response.status == 200, await response.text()

    async def stored(self, bucket: str = BUCKET) -> dict[str, bytes]:
        """Return the contents of all objects by key."""
        return {
            str(each["key"]): await self.cloud.content(bucket, str(each["key"]))
            for each in await self.cloud.objects(bucket)
        }


@contextlib.asynccontextmanager
async def names_by_form(app: str, session: aiohttp.ClientSession) -> AsyncIterator[str]:
    """Serve an app whose forms leave the end of the key to the file name in the form; `key` is what it has to become.

    Yields:
        The URL of the app.
    """

    async def answer(request: web.Request) -> web.Response:
        wanted = await request.json(loads=json.loads)
        headers = {name: request.headers[name] for name in ("X-Api-Key", "X-Caller")}
        async with session.post(f"{app}/uploads", json={**wanted, "reuse": True}, headers=headers) as response:
            form = await response.json()
        return web.json_response(
            {**form, "key": form["fields"]["key"].replace("${filename}", wanted["filename"])}, status=response.status
        )

    async with stub(answer) as server:
        yield f"{server.url}/v1/apps/photos"


@contextlib.asynccontextmanager
async def uploading_place(directory: Path) -> AsyncIterator[Place]:
    """Run the signer and the local cloud."""
    buckets = ("--bucket", f"{BUCKET}=cn-hangzhou", "--bucket", f"{STALLED_BUCKET}=cn-hangzhou")
    async with (
        aiohttp.ClientSession() as session,
        local_cloud(session, *buckets) as cloud,
        bad_network(cloud.oss, reset_after_bytes=2 * STALLS_AFTER_BYTES, stall_every=1) as network,
    ):
        config = directory / "signer.yaml"
        config.write_text(
            f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", secret: "{"s" * 32}"}}
credentials:
  present: {{type: static, access_key_id: LTAI-local, access_key_secret: local-secret}}
  removed: {{type: static, access_key_id: LTAI-removed, access_key_secret: removed-secret}}
defaults:
  region: cn-hangzhou
  credentials: present
  bucket: {BUCKET}
  key_prefix: 'u/{{caller_hash}}/'
  callers:
    - {{type: jwt, secret: {JWT_SECRET}}}
    - {{type: api_key, keys: {{shop: {sha256(API_KEY.encode()).hexdigest()}}}}}
  content_types: [image/jpeg, text/plain, video/mp4]
  max_size: {MAX_BYTES}
  multipart: {{threshold: 16MiB}}
  cors_origins: ['*']
apps:
  photos: {{domain: "{cloud.oss}/{BUCKET}"}}
  stalled: {{domain: "{network.url}/{STALLED_BUCKET}", bucket: {STALLED_BUCKET}}}
  refused: {{domain: "{cloud.oss}/{BUCKET}", credentials: removed}}
""",
            encoding="utf-8",
        )
        async with signer(session, config) as running:
            yield Place(running.public, cloud, network)
