from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from signer.outbound import new_session
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.redis_server import RedisServer, redis_server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def outbound() -> AsyncIterator[aiohttp.ClientSession]:
    """The pool that the signer asks others through."""
    async with new_session() as session:
        yield session


@pytest.fixture
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    async with local_cloud(session, "--bucket", "photos=cn-hangzhou") as running:
        yield running


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path / "redis") as place:
        yield place


@pytest.fixture(params=["sqlite", "redis"])
async def address(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Of an empty queue of each kind."""
    if request.param == "sqlite":
        yield str(tmp_path / "state" / "callbacks.db")
        return
    async with redis_server(tmp_path / "redis") as place:
        yield f"redis://127.0.0.1:{place.port}/0"
