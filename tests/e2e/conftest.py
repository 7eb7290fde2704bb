from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud, local_cloud


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    async with local_cloud(session) as running:
        yield running
