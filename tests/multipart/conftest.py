from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from tests.harness.local_cloud import Cloud, local_cloud
from tests.multipart.video_signer import VideoSigner, definitions, video_signer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud() -> AsyncIterator[Cloud]:
    async with (
        aiohttp.ClientSession() as session,
        local_cloud(session, "--bucket", "videos=cn-hangzhou", "--bucket", "archive=cn-hangzhou") as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def videos(cloud: Cloud) -> AsyncIterator[VideoSigner]:
    async with video_signer(cloud, definitions(cloud)) as running:
        yield running
