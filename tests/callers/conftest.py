from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from signer.outbound import new_session
from tests.callers.local_wechat import LocalWeChat, running
from tests.callers.signing_keys import Keys


@pytest.fixture(scope="session")
def wechat_address() -> Iterator[str]:
    with running() as address:
        yield address


@pytest.fixture
async def wechat(wechat_address: str) -> AsyncIterator[LocalWeChat]:
    """WeChat without faults."""
    async with aiohttp.ClientSession() as session:
        wechat = LocalWeChat(wechat_address, session)
        await wechat.set_faults()
        yield wechat
        await wechat.set_faults()


@pytest.fixture
async def outbound() -> AsyncIterator[aiohttp.ClientSession]:
    """The pool that the signer asks others through."""
    async with new_session() as session:
        yield session


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys()
