"""A local cloud behind a bad network, a signer with an app for videos, and a large file."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp

from tests.harness.bad_network import BadNetwork, bad_network
from tests.harness.files import write
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.signer import Signer, signer

MEGABYTE = 1_000_000
BUCKET = "videos"
RESET_AFTER_BYTES = 20 * MEGABYTE
DELAY_SECONDS = 0.002
STALL_EVERY = 7
MAX_SENT_SHARE = 1.15
"""The bytes that a client may send, as a share of the file, although the network loses some."""
MAX_MEMORY_BYTES = 40 * MEGABYTE
"""What a page may need during an upload in addition to what it has at the start."""
UPLOADER_OPTIONS = {"timeoutMs": 5000, "retryDelayMs": 50, "retries": 40}
"""A part that stalls ends after its time limit: with the default of 15 s, the tests would need minutes. On a busy machine,
parts that do not stall reach this limit too, so there are more retries than by default."""


@dataclass
class Site:
    """A running local cloud, signer and network."""

    cloud: Cloud
    signer: Signer
    network: BadNetwork
    config: Path
    """The definitions of the signer."""
    secret: str
    """Its `server.secret`."""

    async def stored(self, name: str, bucket: str = BUCKET) -> dict[str, str]:
        """Return the SHA-256 of each object by key, whose name ends with that of the file."""
        keys = [each["key"] for each in await self.cloud.objects(bucket)]
        return {key: await self._digest(bucket, key) for key in keys if key.endswith(name)}

    async def redefine(self, old: str, new: str) -> None:
        """Replace a text in the definitions, and have the signer load them."""
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        write(self.config, text.replace(old, new))
        status, report = await self.signer.reload()
        assert status == 200, report

    async def revoke_token(self) -> None:
        """Revoke the token of the signer's role, and let the signer fetch a new one, as an operator does."""
        await self.cloud.set_faults(oss={"kind": "revoked"})
        async with self.cloud.session.post(f"{self.signer.admin}/-/refresh") as response:
            assert response.status == 200, await response.text()

    async def _digest(self, bucket: str, key: str) -> str:
        digest = hashlib.sha256()
        async with self.cloud.session.get(f"{self.cloud.oss}/{bucket}/{quote(key)}") as response:
            assert response.status == 200
            async for chunk in response.content.iter_chunked(2**20):
                digest.update(chunk)
        return digest.hexdigest()


def write_video(path: Path, size_bytes: int) -> str:
    """Write a file of random bytes, and return its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while size_bytes:
            chunk = os.urandom(min(size_bytes, MEGABYTE))
            digest.update(chunk)
            file.write(chunk)
            size_bytes -= len(chunk)
    return digest.hexdigest()


def new_secret() -> str:
    """Return a value for `server.secret`."""
    return os.urandom(32).hex()


@contextlib.asynccontextmanager
async def site(
    directory: Path, *origins: str, reset_after_bytes: int = RESET_AFTER_BYTES, stall_every: int = STALL_EVERY
) -> AsyncIterator[Site]:
    """Run a site; `origins` are those of web pages."""
    async with (
        aiohttp.ClientSession() as session,
        local_cloud(session) as cloud,
        bad_network(
            cloud.oss, reset_after_bytes=reset_after_bytes, delay_seconds=DELAY_SECONDS, stall_every=stall_every
        ) as network,
    ):
        await cloud.create_bucket(BUCKET)
        secret, config = new_secret(), directory / "signer.yaml"
        config.write_text(
            f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", secret: [{secret}]}}
credentials: {{instance: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}
defaults:
  region: cn-hangzhou
  credentials: instance
  bucket: {BUCKET}
  domain: "{network.url}/{BUCKET}"
  oss_endpoint: "{cloud.oss}"
  max_size: 400MiB
  cors_origins: {list(origins)}
apps:
  videos: {{key_prefix: videos/, multipart: {{}}}}
  clips: {{key_prefix: clips/, multipart: {{threshold: 1MiB, part_size: 100KiB}}}}
  forms: {{key_prefix: forms/}}
""",
            encoding="utf-8",
        )
        async with signer(session, config) as running:
            yield Site(cloud, running, network, config, secret)
