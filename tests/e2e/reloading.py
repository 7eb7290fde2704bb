"""What tests of reloads share: definitions whose revision shows in each answer, edits, and questions to the signer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.harness.signer import Signer

HANG_SECONDS = 60.0
"""Nothing takes that long but what hangs."""

HEAD = """\
version: 1
server: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}
credentials:
  fixed: {type: static, access_key_id: LTAI-fixed, access_key_secret: "${OSS_ACCESS_KEY_SECRET}"}
defaults: {bucket: photos, region: cn-hangzhou, credentials: fixed}
"""


def app(number: int, app_id: str = "a") -> str:
    """An app of the revision `number`."""
    return f"  {app_id}: {{max_size: {number}MiB}}\n"


def revision(number: int) -> str:
    return f"{HEAD}apps:\n{app(number)}"


BROKEN = revision(9).replace("max_size", "max_sise")
BROKEN_PLACE = "7:7"


def write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def replace(file: Path, text: str) -> None:
    """As most editors do: a new file takes the place of the old one."""
    write(new := file.with_name(file.name + ".new"), text)
    new.replace(file)


def link(name: Path, target: str | Path) -> None:
    """Makes the link, or turns it to another target in one step."""
    (new := name.with_name(name.name + ".new")).symlink_to(target)
    new.replace(name)


async def served(running: Signer, app_id: str = "a") -> int:
    """The revision that the app's forms are of."""
    size: int = (await running.upload_form(app_id))["max_size"]
    return size // 2**20


async def until_served(running: Signer, number: int, app_id: str = "a") -> None:
    """Asks on and on until the app is of this revision; each of its answers is a form."""
    async with asyncio.timeout(HANG_SECONDS):
        while await served(running, app_id) != number:
            await asyncio.sleep(0.02)


async def status_of(running: Signer, app_id: str) -> int:
    async with running.session.post(f"{running.public}/v1/apps/{app_id}/uploads", json={}) as answer:
        return answer.status


async def until_status(running: Signer, app_id: str, status: int) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while await status_of(running, app_id) != status:
            await asyncio.sleep(0.02)


async def reload(running: Signer) -> tuple[int, dict[str, Any]]:
    """`POST /-/reload`: its status, and what it says."""
    async with running.session.post(f"{running.admin}/-/reload") as answer:
        return answer.status, await answer.json()


async def changes_by(running: Signer, file: Path, text: str) -> list[str]:
    """What the signer logs when it takes this edit over; asked to, unless its own watch is faster."""
    before = len(running.output)
    write(file, text)
    status, outcome = await reload(running)
    assert status == 200, outcome
    changes: list[str] = (await until_logged(running, "definitions reloaded", since=before))["changes"]
    return changes


async def last_reload(running: Signer) -> dict[str, Any]:
    """As /status shows it to programs."""
    async with running.session.get(f"{running.admin}/status", headers={"Accept": "application/json"}) as answer:
        last: dict[str, Any] = (await answer.json())["last_reload"]
        return last


async def metric(running: Signer, name: str) -> float:
    async with running.session.get(f"{running.admin}/metrics") as answer:
        text = await answer.text()
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    return next(sample.value for sample in samples if sample.name == f"oss_signer_{name}")


async def until_logged(running: Signer, message: str, *, since: int = 0) -> dict[str, Any]:
    """The first line of its log from `since` on whose message starts so."""
    async with asyncio.timeout(HANG_SECONDS):
        while True:
            for line in running.output[since:]:
                entry: dict[str, Any] = json.loads(line)
                if entry["message"].startswith(message):
                    return entry
            await asyncio.sleep(0.02)


@asynccontextmanager
async def readiness(running: Signer) -> AsyncIterator[list[int]]:
    """Asks /readyz for as long as the block runs; yields the growing list of its statuses."""
    statuses: list[int] = []

    async def go_on() -> None:
        while True:
            async with running.session.get(f"{running.admin}/readyz") as answer:
                statuses.append(answer.status)
            await asyncio.sleep(0.005)

    task = asyncio.create_task(go_on())
    try:
        yield statuses
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])
