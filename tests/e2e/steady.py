"""Clients that ask all the time, so that a request which fails between two looks is seen too; and the signer's log."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.harness.signer import Signer

HANG_SECONDS = 120.0
"""Nothing takes that long but what hangs."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request for a form and what it got; `key_id` is the temporary AccessKey that signed it."""

    app: str
    asked_at: datetime
    answered_at: datetime
    status: int
    code: str | None = None
    retry_after: str | None = None
    key_id: str | None = None
    expires_at: datetime | None = None


async def ask(running: Signer, app: str) -> Answer:
    asked_at = datetime.now(UTC)
    async with running.session.post(f"{running.public}/v1/apps/{app}/uploads", json={}) as response:
        body = await response.json()
        answered_at = datetime.now(UTC)
        if response.status != 201:
            retry_after = response.headers.get("Retry-After")
            return Answer(app, asked_at, answered_at, response.status, body["code"], retry_after)
    return Answer(
        app,
        asked_at,
        answered_at,
        response.status,
        key_id=body["fields"]["x-oss-credential"].split("/")[0],
        expires_at=datetime.fromisoformat(body["expires_at"]),
    )


@contextlib.asynccontextmanager
async def asking(running: Signer, apps: Sequence[str], *, pause_seconds: float = 0.02) -> AsyncIterator[list[Answer]]:
    """Asks for each app in turn for as long as the block runs; yields the growing list of responses."""
    responses: list[Answer] = []

    async def go_on() -> None:
        while True:
            for app in apps:
                responses.append(await ask(running, app))
                await asyncio.sleep(pause_seconds)

    task = asyncio.create_task(go_on())
    try:
        yield responses
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], bool]) -> None:
    """Returns as soon as it holds."""
    async with asyncio.timeout(HANG_SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the signer's log."""

    time: datetime
    level: str
    message: str
    members: dict[str, Any]


def log_of(running: Signer, message: str) -> list[Entry]:
    """The lines so far whose message starts so."""
    lines = [json.loads(line) for line in running.output if f'"message": "{message}' in line]
    return [Entry(datetime.fromisoformat(line["time"]), line["level"], line["message"], line) for line in lines]


def failures(responses: Sequence[Answer]) -> list[Answer]:
    return [each for each in responses if each.status != 201]
