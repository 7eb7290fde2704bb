"""The signer and the local cloud as processes, over real sockets; each is ended by its own id."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from multidict import CIMultiDictProxy

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
LOCAL_ENVIRON = {
    "OSS_ACCESS_KEY_ID": "LTAI-local",
    "OSS_ACCESS_KEY_SECRET": "local-secret",
    "OSS_STS_ROLE_ARN": "acs:ram::1234567890123456:role/oss-upload",
}


@dataclass
class Cloud:
    """A running local cloud."""

    metadata: str
    sts: str
    oss: str
    session: aiohttp.ClientSession
    pid: int

    async def counts(self) -> dict[str, int]:
        async with self.session.get(f"{self.oss}/-/counts") as answer:
            counts: dict[str, int] = await answer.json()
            return counts

    async def create_bucket(self, name: str, region: str = "cn-hangzhou") -> str:
        """Creates it and returns the address to upload to."""
        async with self.session.post(f"{self.oss}/-/buckets", json={"name": name, "region": region}) as answer:
            assert answer.status < 300, await answer.text()
        return f"{self.oss}/{name}"

    async def set_faults(self, **faults: Any) -> None:
        async with self.session.put(f"{self.oss}/-/faults", json=faults) as answer:
            assert answer.status < 300, await answer.text()

    async def objects(self, bucket: str) -> list[dict[str, Any]]:
        async with self.session.get(f"{self.oss}/-/objects", params={"bucket": bucket}) as answer:
            found: list[dict[str, Any]] = await answer.json()
            return found

    async def content(self, bucket: str, key: str) -> bytes:
        async with self.session.get(f"{self.oss}/{bucket}/{quote(key)}") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()


@dataclass
class Signer:
    """A running signer, and all that it has said."""

    public: str
    admin: str
    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession
    output: list[str] = field(default_factory=list)

    async def uploads(
        self, app_id: str, wish: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        async with self.session.post(
            f"{self.public}/v1/apps/{app_id}/uploads", json=wish or {}, headers=headers
        ) as answer:
            body: dict[str, Any] = await answer.json()
            assert answer.status == 201, body
            return body

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.terminate()
        return await self.process.wait()


async def post_object(
    session: aiohttp.ClientSession, url: str, fields: dict[str, str], content: bytes, filename: str = "photo.jpg"
) -> tuple[int, str, CIMultiDictProxy[str]]:
    """A multipart POST as wx.uploadFile makes it: the fields first, the file last. Status, body and headers."""
    form = aiohttp.FormData(quote_fields=False)
    for name, value in fields.items():
        # aiohttp warns of large texts, since writing them blocks its loop.
        form.add_field(name, value if len(value) < 2**20 else io.BytesIO(value.encode()))
    form.add_field("file", content, filename=filename, content_type="application/octet-stream")
    async with session.post(url, data=form, allow_redirects=False) as answer:
        return answer.status, await answer.text(), answer.headers


def decoded(policy: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(base64.b64decode(policy))
    return document


@contextlib.asynccontextmanager
async def local_cloud(session: aiohttp.ClientSession, *arguments: str) -> AsyncIterator[Cloud]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "localcloud", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            addresses = json.loads(await process.stdout.readline())
        yield Cloud(addresses["metadata"], addresses["sts"], addresses["oss"], session, process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def signer(
    session: aiohttp.ClientSession, config: Path, *, environ: dict[str, str] | None = None, when: str = "ready"
) -> AsyncIterator[Signer]:
    """`python run.py serve`, once it says that it is ready (or, with `when`, "listening")."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "run.py",
        "serve",
        "--config",
        str(config),
        cwd=ROOT,
        env={**os.environ, **LOCAL_ENVIRON, **(environ or {})},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    output: list[str] = []
    addresses: dict[str, str] = {}
    ready = asyncio.Event()

    async def read(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            output.append(line.decode())
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry["message"] == "listening":
                    addresses.update(entry)
                if entry["message"] == when:
                    ready.set()
        ready.set()

    reading = asyncio.create_task(read(process.stderr))
    try:
        async with asyncio.timeout(START_SECONDS):
            await ready.wait()
        assert "public" in addresses, "".join(output)
        yield Signer(addresses["public"], addresses["admin"], process, session, output)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await reading
