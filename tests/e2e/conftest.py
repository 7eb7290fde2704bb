from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.harness.local_cloud import Cloud, local_cloud


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    async with local_cloud(session) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session for the tests of a module whose signer runs for all of them."""
    async with aiohttp.ClientSession() as session:
        yield session
