"""Definitions whose revision number shows in each form that the signer returns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.harness.files import write
from tests.harness.signer import Signer
from tests.harness.waiting import wait_until

HEAD = """\
version: 1
server: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}
credentials:
  fixed: {type: static, access_key_id: LTAI-fixed, access_key_secret: "${OSS_ACCESS_KEY_SECRET}"}
defaults: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: fixed}
"""


def app(number: int, app_id: str = "a") -> str:
    """Return the YAML of an app, whose `max_size` in MiB is the revision number."""
    return f"  {app_id}: {{max_size: {number}MiB}}\n"


def revision(number: int) -> str:
    """Return definitions with one app of this revision."""
    return f"{HEAD}apps:\n{app(number)}"


INVALID = revision(9).replace("max_size", "max_sise")
INVALID_PLACE = "7:7"


async def served_revision(running: Signer, app_id: str = "a") -> int:
    """Return the revision of the app, as a form shows it."""
    size: int = (await running.upload_form(app_id))["max_size"]
    return size // 2**20


async def wait_for_revision(running: Signer, number: int, app_id: str = "a") -> None:
    """Request forms until the app has this revision; each response has to be a form."""

    async def is_served() -> bool:
        return await served_revision(running, app_id) == number

    await wait_until(is_served)


async def wait_for_status(running: Signer, app_id: str, status: int) -> None:
    """Request forms until the response has this status."""

    async def is_returned() -> bool:
        return await running.upload_status(app_id) == status

    await wait_until(is_returned)


async def logged_changes(running: Signer, file: Path, text: str) -> list[str]:
    """Write the definitions, reload them, and return the changes that the signer logs.

    The signer watches the file, so it may reload before it is requested to.
    """
    before = len(running.output)
    write(file, text)
    status, outcome = await running.reload()
    assert status == 200, outcome
    changes: list[str] = (await running.wait_for_log("definitions reloaded", since=before))["changes"]
    return changes


@asynccontextmanager
async def readiness_statuses(running: Signer) -> AsyncIterator[list[int]]:
    """Request /readyz again and again until the end of the block, and yield the growing list of statuses."""
    statuses: list[int] = []

    async def probe() -> None:
        while True:
            statuses.append((await running.readiness())[0])

    task = asyncio.create_task(probe())
    try:
        yield statuses
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])
