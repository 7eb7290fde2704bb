from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from signer.outbound import new_session
from tests.harness.redis_server import RedisServer, redis_server


@pytest.fixture
async def outbound() -> AsyncIterator[aiohttp.ClientSession]:
    """The session that the service uses for outgoing requests."""
    async with new_session() as session:
        yield session


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
async def address(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of an empty queue of each kind."""
    if request.param == "sqlite":
        yield str(tmp_path / "state" / "callbacks.db")
        return
    async with redis_server(tmp_path / "redis") as server:
        yield f"redis://127.0.0.1:{server.port}/0"
