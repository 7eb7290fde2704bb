"""Many clients at the same time."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys

import aiohttp
import pytest

from tests.harness.processes import launch
from tests.harness.waiting import wait_until

if sys.platform != "win32":
    import resource

FEW_FILES = 256
CALLERS = 2 * FEW_FILES


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of open files")
async def test_more_clients_than_the_usual_limit_of_open_files(session: aiohttp.ClientSession) -> None:
    """It raises a low limit at start: all requests wait at the same time, then all get a response."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < 4 * CALLERS:
        pytest.skip(f"this system allows only {most} open files")
    command = f"ulimit -S -n {FEW_FILES} && exec {shlex.quote(sys.executable)} -m localcloud"
    async with launch("sh", "-c", command) as process:
        addresses = json.loads(await process.read_line())
        await session.put(f"{addresses['oss']}/-/faults", json={"sts": {"kind": "hang"}})

        async def all_wait() -> bool:
            async with session.get(f"{addresses['oss']}/-/waiting") as answer:
                return bool((await answer.json())["sts"] >= CALLERS)

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as callers:
            requests = [asyncio.create_task(callers.post(addresses["sts"])) for _ in range(CALLERS)]
            await wait_until(all_wait)
            for request in requests:
                request.cancel()
            await asyncio.gather(*requests, return_exceptions=True)
