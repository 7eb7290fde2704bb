"""The service as a whole: when it starts its work."""

from __future__ import annotations

import asyncio

from signer.definitions.parser import parse
from signer.environment import Environment
from signer.service import Service

DEFINITIONS = """
version: 1
credentials: {key: {type: static, access_key_id: LTAI, access_key_secret: secret}}
apps: {a: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: key}}
"""


async def test_nothing_runs_before_the_service_is_entered() -> None:
    service = Service(parse({"signer.yaml": DEFINITIONS}, {}), Environment({}))
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert service.role_states() == []
    async with service:
        await service.settle(timeout_seconds=10)
        assert [(state.role, state.is_usable) for state in service.role_states()] == [("key", True)]
    assert asyncio.all_tasks() == {asyncio.current_task()}
