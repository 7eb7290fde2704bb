"""A signer whose log or audit log no process reads, and requests that fill what waits for the reader."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.harness.files import write
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.output_pipe import OutputPipe
from tests.harness.signer import Signer, signer
from tests.harness.waiting import deadline, wait_until

DEFINITIONS = """\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
  r: {{type: ecs_ram_role, endpoint: "{metadata}"}}
defaults: {{region: cn-hangzhou, bucket: photos, credentials: r}}
{more}
apps:
  a: {{key_prefix: a/}}
"""
LONG_PATH = "/" + "%01" * 255
"""A request for it logs 1.8 kB, because each of its characters is escaped."""
LONG_LINE_BYTES = 1_700
MAX_WAITING_BYTES = 32 * 2**20


@dataclass
class Running:
    """A signer, its definitions, and the cloud that has its credentials."""

    signer: Signer
    config: Path
    cloud: Cloud

    async def block(self, pipe: OutputPipe, sink: str) -> None:
        """Stop reading a pipe, and return once the signer cannot write to it."""
        pipe.stop_reading()

        async def is_blocked() -> bool:
            await self.signer.upload_form("a")
            return await self.signer.metric("log_blocked_seconds", sink=sink) > 0.1

        await wait_until(is_blocked)

    async def lost_lines(self, sink: str) -> float:
        """Return how many lines were lost."""
        return await self.signer.metric("log_lines_lost_total", sink=sink)

    async def check_requests_and_reloads(self) -> None:
        """Use what logs: requests, accepted and rejected reloads, and a role whose token cannot be fetched."""
        await self.signer.upload_form("a")
        text = self.config.read_text(encoding="utf-8")
        write(self.config, text.replace("  a:", "  b: {key_prefix: b/, bukket: photos}\n  a:"))
        assert (await self.signer.reload())[0] == 422
        dead_role = 'dead: {type: ecs_ram_role, endpoint: "http://127.0.0.1:1"}'
        text = text.replace("  r:", f"  {dead_role}\n  r:").replace(
            "  a:", "  b: {key_prefix: b/, credentials: dead}\n  a:"
        )
        write(self.config, text)
        assert (await self.signer.reload())[0] == 200

        async def has_failed_repeatedly() -> bool:
            samples = await self.signer.samples()
            return (
                sum(
                    value
                    for (name, labels), value in samples.items()
                    if name == "oss_signer_credential_refreshes_total"
                    and {("role", "dead"), ("outcome", "failure")} <= labels
                )
                > 2
            )

        await wait_until(has_failed_repeatedly)
        assert (await self.signer.try_upload_form("b"))[0] == 503
        await self.signer.upload_form("a")
        async with self.signer.session.get(f"{self.signer.admin}/healthz") as response:
            assert response.status == 200


@contextlib.asynccontextmanager
async def running_signer(directory: Path, more: str = "") -> AsyncIterator[Running]:
    """Run a signer; `more` is added to its definitions."""
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        write(config := directory / "signer.yaml", DEFINITIONS.format(metadata=cloud.metadata, more=more))
        async with signer(session, config) as running:
            yield Running(running, config, cloud)


async def send_pipelined(address: str, request: bytes, count: int) -> None:
    """Send the same request many times on one connection, and read all responses."""
    host, port = address.removeprefix("http://").split(":")
    async with deadline():
        reader, writer = await asyncio.open_connection(host, int(port))

        async def send() -> None:
            for _ in range(count):
                writer.write(request)
                await writer.drain()

        sending = asyncio.create_task(send())
        for _ in range(count):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        await sending
        writer.close()


def parsed(lines: list[str]) -> list[dict[str, Any]]:
    """Return the lines, each of which is a whole JSON object."""
    return [json.loads(line) for line in lines]
