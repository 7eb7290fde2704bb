from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient

from tests.harness.local_cloud import Cloud, local_cloud


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    async with local_cloud(session, "--bucket", "photos=cn-hangzhou") as running:
        yield running


@pytest.fixture
async def sdk(cloud: Cloud) -> AsyncIterator[AsyncClient]:
    provider = oss.credentials.StaticCredentialsProvider("LTAI-local", "local-secret")
    config = oss.Config(region="cn-hangzhou", endpoint=cloud.oss, credentials_provider=provider, retry_max_attempts=1)
    async with AsyncClient(config) as client:
        yield client
