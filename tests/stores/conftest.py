from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.harness.local_cloud import local_cloud
from tests.stores.places import FilePlace, HttpPlace, OssPlace, Place, http_place, redis_place


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(params=["http", "http without ETags", "redis", "unix", "oss"])
async def remote(
    request: pytest.FixtureRequest, session: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[Place]:
    """A store of each kind, empty."""
    kind = request.param
    if kind == "oss":
        async with local_cloud(session, "--bucket", "config=cn-hangzhou") as cloud:
            yield OssPlace(cloud)
    elif kind.startswith("http"):
        async with http_place(etags=kind == "http") as server:
            yield server
    else:
        async with redis_place(tmp_path / "redis", scheme=kind) as redis:
            yield redis


@pytest.fixture
def file(tmp_path: Path) -> FilePlace:
    return FilePlace(tmp_path / "signer.yaml")


@pytest.fixture
async def http() -> AsyncIterator[HttpPlace]:
    async with http_place() as server:
        yield server
