from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.e2e.callbacks.notify_server import NotifyServer, notify_server
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
async def app_server() -> AsyncIterator[NotifyServer]:
    async with notify_server() as server:
        yield server
