"""Runs the local cloud: ECS metadata, STS, OSS and WeChat on loopback."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

from tests.harness.processes import Process, launch


@dataclass(frozen=True)
class Cloud:
    """A running local cloud and the addresses of its servers."""

    metadata: str
    sts: str
    oss: str
    wechat: str
    session: aiohttp.ClientSession
    process: Process

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses by the names that the local cloud prints."""
        return {"metadata": self.metadata, "sts": self.sts, "oss": self.oss, "wechat": self.wechat}

    async def counts(self) -> dict[str, int]:
        """Return how often each action was called."""
        counts: dict[str, int] = await self._get("counts")
        return counts

    async def calls(self, action: str) -> list[dict[str, Any]]:
        """Return all calls of an action."""
        calls: list[dict[str, Any]] = await self._get("calls", action=action)
        return calls

    async def objects(self, bucket: str) -> list[dict[str, Any]]:
        """Return the objects of a bucket, without their content."""
        objects: list[dict[str, Any]] = await self._get("objects", bucket=bucket)
        return objects

    async def callbacks(self) -> list[dict[str, Any]]:
        """Return the calls of application servers."""
        callbacks: list[dict[str, Any]] = await self._get("callbacks")
        return callbacks

    async def content(self, bucket: str, key: str) -> bytes:
        """Return the content of an object."""
        async with self.session.get(f"{self.oss}/{bucket}/{quote(key)}") as response:
            assert response.status == 200, await response.text()
            return await response.read()

    async def create_bucket(self, name: str, region: str = "cn-hangzhou") -> str:
        """Create a bucket and return the address to upload to."""
        async with self.session.post(f"{self.oss}/-/buckets", json={"name": name, "region": region}) as response:
            assert response.status < 300, await response.text()
        return f"{self.oss}/{name}"

    async def trust_role(self, name: str, *, trusted: bool) -> None:
        """Let callers assume a role, or forbid it."""
        async with self.session.put(f"{self.oss}/-/roles/{name}", json={"trusted": trusted}) as response:
            assert response.status < 300, await response.text()

    async def set_metadata_token(self, status: int | None) -> None:
        """Let the metadata service refuse a metadata token with 404 or 405, or issue one."""
        async with self.session.put(f"{self.oss}/-/metadata-token", json={"status": status}) as response:
            assert response.status < 300, await response.text()

    async def set_faults(self, **faults: Any) -> None:
        """Replace the faults of all servers; without arguments, end all faults."""
        async with self.session.put(f"{self.oss}/-/faults", json=faults) as response:
            assert response.status < 300, await response.text()

    async def _get(self, path: str, **query: str) -> Any:
        async with self.session.get(f"{self.oss}/-/{path}", params=query) as response:
            assert response.status == 200, await response.text()
            return await response.json()


@contextlib.asynccontextmanager
async def local_cloud(
    session: aiohttp.ClientSession,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    public_read: bool = True,
) -> AsyncIterator[Cloud]:
    """Run `python -m localcloud` with these arguments. With `public_read`, a test reads objects without a signature."""
    options = ["--public-read"] if public_read else []
    async with launch(sys.executable, "-m", "localcloud", *options, *arguments, environ=environ) as process:
        addresses = json.loads(await process.read_line())
        yield Cloud(addresses["metadata"], addresses["sts"], addresses["oss"], addresses["wechat"], session, process)
