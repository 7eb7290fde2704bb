"""500 requests at once: exactly as many as the limit in Redis allows get a form, whatever an app does without Redis."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.harness.redis_server import redis_server
from tests.harness.signer import signer

pytestmark = pytest.mark.slow

REQUESTS, LIMIT = 500, 300
CONFIG = """
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
limits: {redis}
credentials: {{r: {{type: static, access_key_id: LTAI-local, access_key_secret: local-secret}}}}
defaults: {{bucket: photos, region: cn-hangzhou, credentials: r}}
apps:
  open: {{key_prefix: open/, rate_limit: {{per_app: {limit}/d}}}}
  closed: {{key_prefix: closed/, rate_limit: {{per_app: {limit}/d, when_redis_is_gone: closed}}}}
"""


@pytest.mark.parametrize("app", ["open", "closed"])
async def test_500_requests_at_once_are_counted_exactly(app: str, tmp_path: Path) -> None:
    """Each request has a connection of its own."""
    async with (
        redis_server(tmp_path / "redis") as redis,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=REQUESTS)) as session,
    ):
        config = tmp_path / "signer.yaml"
        config.write_text(CONFIG.format(redis=redis.address, limit=LIMIT), encoding="utf-8")
        async with signer(session, config) as running:
            statuses = Counter(await asyncio.gather(*(running.upload_status(app) for _ in range(REQUESTS))))
            assert statuses == {201: LIMIT, 429: REQUESTS - LIMIT}
            assert running.log("rate limits in Redis unavailable") == []
