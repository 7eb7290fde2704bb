from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from tests.e2e.soak.faulty_cloud import SPEED
from tests.harness.fast_clock import FastClock, fast_clock


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session with a connection for each request: by the fast clock, the signer closes idle ones after 4 s."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clock() -> AsyncIterator[FastClock]:
    async with fast_clock(SPEED) as clock:
        yield clock
