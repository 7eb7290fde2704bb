from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from signer.outbound import new_session
from tests.callers.local_wechat import LocalWeChat
from tests.callers.signing_keys import Keys
from tests.harness.local_cloud import local_cloud


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def wechat_address() -> AsyncIterator[str]:
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        yield cloud.wechat


@pytest.fixture
async def wechat(wechat_address: str) -> AsyncIterator[LocalWeChat]:
    """Yield a WeChat without faults."""
    async with aiohttp.ClientSession() as session:
        wechat = LocalWeChat(wechat_address, session)
        await wechat.set_faults()
        yield wechat
        await wechat.set_faults()


@pytest.fixture
async def outbound() -> AsyncIterator[aiohttp.ClientSession]:
    """Yield the HTTP session that the signer uses."""
    async with new_session() as session:
        yield session


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys()
