"""The cloud of the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.callers.local_wechat import LocalWeChat
from tests.from_zero.place import Place
from tests.harness.local_cloud import local_cloud


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with aiohttp.ClientSession() as session, local_cloud(session, public_read=False) as cloud:
        found = Place(cloud, LocalWeChat(cloud.wechat, session), tmp_path)
        await found.follow_the_page()
        yield found
