from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.harness.local_cloud import local_cloud
from tests.stores.store_servers import (
    HttpStoreServer,
    OssStoreObject,
    StoreFile,
    StoreServer,
    http_store_server,
    redis_store_server,
)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(params=["http", "http without ETags", "redis", "unix", "oss"])
async def remote(
    request: pytest.FixtureRequest, session: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[StoreServer]:
    """An empty store of each remote kind."""
    kind = request.param
    if kind == "oss":
        async with local_cloud(session, "--bucket", "config=cn-hangzhou") as cloud:
            yield OssStoreObject(cloud)
    elif kind.startswith("http"):
        async with http_store_server(etags=kind == "http") as server:
            yield server
    else:
        async with redis_store_server(tmp_path / "redis", scheme=kind) as redis:
            yield redis


@pytest.fixture
def file(tmp_path: Path) -> StoreFile:
    return StoreFile(tmp_path / "signer.yaml")


@pytest.fixture
async def http() -> AsyncIterator[HttpStoreServer]:
    async with http_store_server() as server:
        yield server


@pytest.fixture(autouse=True)
def allowed_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the definitions of a remote store refer to the secret in them."""
    monkeypatch.setenv("OSS_SIGNER_ALLOW_ENV", "KEY_SECRET")
