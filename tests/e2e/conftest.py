from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from tests.e2e.running import ROOT, START_SECONDS, Cloud, local_cloud


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    async with local_cloud(session) as running:
        yield running


@dataclass
class Demo:
    """A running `python run.py demo`; `url` is the address of its page."""

    url: str


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "run.py", "demo", "--port", "0", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("The upload page:"), line
        yield Demo(line.split()[-1])
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
