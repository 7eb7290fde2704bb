"""An outage of STS with 400 roles, of which 100 are in demand: other roles go on, and these recover first."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.many_roles import FORM_SECONDS, SLACK_SECONDS, fetched_apps, write_definitions
from tests.harness.local_cloud import local_cloud
from tests.harness.signer import LISTENING, signer
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow

ROLES, HEALTHY = 400, 20
IN_DEMAND = [f"broken{number}" for number in range(0, ROLES, 4)]
MAX_TRIALS = 5
"""How many roles that are not in demand may be fetched among them: the first trial, and those under way."""


@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 502}, {"kind": "hang"}], ids=lambda fault: fault["kind"]
)
async def test_roles_in_demand_recover_first(fault: dict[str, Any], tmp_path: Path) -> None:
    """The tokens of all roles of one STS are missing; roles with another STS answer all the time."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        local_cloud(session) as cloud,
        local_cloud(session) as other_cloud,
    ):
        await cloud.set_faults(sts=fault)
        endpoints = {"broken": (cloud.sts, ROLES), "healthy": (other_cloud.sts, HEALTHY)}
        config = write_definitions(tmp_path, endpoints, timeout="2s")
        async with signer(session, config, wait_for=LISTENING) as running:
            durations: list[float] = []
            statuses: dict[str, list[int]] = {}
            waits: list[int] = []
            ended = asyncio.Event()

            async def keep_requesting(app: str) -> None:
                while not ended.is_set():
                    started = time.monotonic()
                    async with session.post(f"{running.public}/v1/apps/{app}/uploads", json={}) as response:
                        if response.status == 503:
                            waits.append(int(response.headers["Retry-After"]))
                        durations.append(time.monotonic() - started)
                        statuses.setdefault(app, []).append(response.status)
                    await asyncio.sleep(0.5)

            healthy = [f"healthy{number}" for number in range(HEALTHY)]
            clients = [asyncio.create_task(keep_requesting(app)) for app in (*IN_DEMAND, *healthy)]
            await running.wait_for_log("credential source unavailable")
            await wait_until(lambda: all(len(statuses.get(app, ())) >= 2 for app in IN_DEMAND))
            await wait_until(lambda: all(201 in statuses.get(app, ()) for app in healthy))
            failed = len(running.log("credential refresh failed"))
            await wait_until(lambda: len(running.log("credential refresh failed")) >= failed + 3)
            since = len(running.output)
            await cloud.set_faults()
            ended_at = time.monotonic()
            await wait_until(lambda: all(statuses[app][-1] == 201 for app in IN_DEMAND))
            recovered_seconds = time.monotonic() - ended_at
            ended.set()
            await asyncio.gather(*clients)
            order = [app for app in fetched_apps(running, since=since) if app.startswith("broken")]
    others = [app for app in order[: len(IN_DEMAND)] if app not in IN_DEMAND]
    print(
        f"{fault['kind']}: {len(IN_DEMAND)} of {ROLES} roles in demand answered {recovered_seconds:.1f} s after the "
        f"outage; {len(others)} others were fetched among them; the slowest of {len(durations)} requests took "
        f"{max(durations):.1f} s; Retry-After {min(waits)} to {max(waits)}"
    )
    assert len(others) <= MAX_TRIALS
    assert max(durations) < FORM_SECONDS + SLACK_SECONDS
    assert max(waits) <= 10
    for app in healthy:
        # On a busy machine, the first fetch of a token may take longer than a request waits.
        assert set(statuses[app][statuses[app].index(201) :]) == {201}, app
