from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.harness.browser import chromium
from tests.harness.demo import demo as running_demo
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
async def demo() -> AsyncIterator[str]:
    async with running_demo() as running:
        yield running.page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(15_000)
    yield page
    await page.close()
