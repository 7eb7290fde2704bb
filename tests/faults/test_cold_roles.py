"""600 roles after a start: a role that requests need is fetched first, and no request waits for the others."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from tests.faults.many_roles import FORM_SECONDS, SLACK_SECONDS, fetched_apps, write_definitions
from tests.harness.local_cloud import local_cloud
from tests.harness.signer import LISTENING, signer
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow

ROLES, REQUESTED = 600, 20
MAX_AHEAD = 60
"""How many tokens the signer may have fetched before the first requests arrive, and those under way."""


async def test_roles_that_requests_need_are_fetched_first(tmp_path: Path) -> None:
    """The requested apps are the last ones of the definitions, and each has 10 clients."""
    requested = [f"r{number}" for number in range(ROLES - REQUESTED, ROLES)]
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        config = write_definitions(tmp_path, {"r": (cloud.sts, ROLES)})
        async with signer(session, config, wait_for=LISTENING) as running:
            durations: list[float] = []

            async def request(app: str) -> int:
                started = time.monotonic()
                status, body = await running.try_upload_form(app)
                durations.append(time.monotonic() - started)
                assert status == 201 or body["code"] == "credentials_unavailable", body
                return status

            statuses = await asyncio.gather(*(request(app) for app in requested * 10))
            assert set(statuses) == {201}
            # The log is written a moment later.
            await wait_until(lambda: set(requested) <= set(fetched_apps(running)))
            order = fetched_apps(running)
            last = max(order.index(app) for app in requested)
            _, readiness = await running.readiness()
            print(
                f"{REQUESTED} of {ROLES} roles requested: fetched among the first {last + 1}, the slowest of "
                f"{len(durations)} requests {max(durations):.2f} s; then {readiness['usable_roles']} roles usable"
            )
            assert last < MAX_AHEAD
            assert max(durations) < FORM_SECONDS + SLACK_SECONDS
            async with session.get(f"{running.admin}/readyz?roles=any") as response:
                any_role = await response.json()
                assert (response.status, any_role["ready"]) == (200, True)
            assert any_role["usable_roles"] + any_role["pending_roles"] == ROLES
