"""Prometheus and its promtool, as Debian's package `prometheus` has them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.running import ROOT, START_SECONDS

MONITORING = ROOT / "monitoring"


def installed(tool: str) -> str:
    """Skips the test where it is not installed, and fails it in CI."""
    found = shutil.which(tool)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"not installed: {tool}")
        pytest.skip(f"not installed: {tool}")
    return found


def promtool(*arguments: str, given: str = "") -> str:
    """What it says; fails the test when it finds something wrong."""
    ended = subprocess.run(
        [installed("promtool"), *arguments], input=given, cwd=MONITORING, capture_output=True, text=True, check=False
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, said
    return said


@dataclass
class Prometheus:
    url: str
    session: aiohttp.ClientSession

    async def ask(self, path: str, **parameters: str) -> Any:
        async with self.session.get(f"{self.url}/api/v1/{path}", params=parameters) as answer:
            body = await answer.json()
        assert body["status"] == "success", (parameters, body)
        return body["data"]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask("query", query=expression))["result"]
        return found


@contextlib.asynccontextmanager
async def prometheus(session: aiohttp.ClientSession, config: Path) -> AsyncIterator[Prometheus]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    log = config.with_suffix(".log")
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            installed("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={config.with_suffix('.tsdb')}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=output,
            stderr=output,
        )
    try:
        running = Prometheus(f"http://127.0.0.1:{port}", session)
        async with asyncio.timeout(START_SECONDS):
            while not await _is_ready(running):
                assert process.returncode is None, log.read_text(encoding="utf-8")
                await asyncio.sleep(0.05)
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _is_ready(running: Prometheus) -> bool:
    with contextlib.suppress(aiohttp.ClientError):
        async with running.session.get(f"{running.url}/-/ready") as answer:
            return answer.status == 200
    return False
