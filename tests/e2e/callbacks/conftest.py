from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.callbacks.callback_signer import CallbackSigner, callback_signer
from tests.e2e.callbacks.notify_server import NotifyServer, notify_server
from tests.harness.local_cloud import Cloud, local_cloud

JSON_BODY = '{"bucket": ${bucket}, "object": ${object}, "etag": ${etag}, "size": ${size}, "who": ${x:who}}'


@pytest.fixture
async def app_server() -> AsyncIterator[NotifyServer]:
    async with notify_server() as server:
        yield server


@pytest.fixture
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    async with local_cloud(session, "--bucket", "photos=cn-hangzhou", "--bucket", "other=cn-hangzhou") as running:
        yield running


@pytest.fixture
async def signer(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: NotifyServer, tmp_path: Path
) -> AsyncIterator[CallbackSigner]:
    """A signer with the apps `notified`, `json`, which is notified too, and `silent`."""
    apps = {
        "notified": {"key_prefix": "notified/", "notify": app_server.target},
        "json": {
            "key_prefix": "json/",
            "body": JSON_BODY,
            "body_type": "application/json",
            "notify": app_server.target,
        },
        "silent": {"key_prefix": "silent/{yyyy}/"},
    }
    async with callback_signer(session, cloud, tmp_path, str(tmp_path / "callbacks.db"), apps) as running:
        yield running
