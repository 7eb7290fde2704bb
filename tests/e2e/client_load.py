"""Requests forms all the time, so that a request that fails between two checks is noticed too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.harness.signer import Signer


@dataclass(frozen=True, slots=True)
class FormResponse:
    """The response to one request for a form."""

    app: str
    requested_at: datetime
    received_at: datetime
    status: int
    code: str | None = None
    retry_after: str | None = None
    key_id: str | None = None
    """The temporary AccessKey id that signed the form."""
    expires_at: datetime | None = None


async def request_form(running: Signer, app: str) -> FormResponse:
    """Request one form."""
    requested_at = datetime.now(UTC)
    async with running.session.post(f"{running.public}/v1/apps/{app}/uploads", json={}) as response:
        body = await response.json()
        received_at = datetime.now(UTC)
        if response.status != 201:
            retry_after = response.headers.get("Retry-After")
            return FormResponse(app, requested_at, received_at, response.status, body["code"], retry_after)
    return FormResponse(
        app,
        requested_at,
        received_at,
        response.status,
        key_id=body["fields"]["x-oss-credential"].split("/")[0],
        expires_at=datetime.fromisoformat(body["expires_at"]),
    )


@contextlib.asynccontextmanager
async def requesting_forms(
    running: Signer, apps: Sequence[str], *, pause_seconds: float = 0.02
) -> AsyncIterator[list[FormResponse]]:
    """Request a form for each app in turn until the end of the block, and yield the growing list of responses."""
    responses: list[FormResponse] = []

    async def keep_requesting() -> None:
        while True:
            for app in apps:
                responses.append(await request_form(running, app))
                await asyncio.sleep(pause_seconds)

    task = asyncio.create_task(keep_requesting())
    try:
        yield responses
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])


def failures(responses: Sequence[FormResponse]) -> list[FormResponse]:
    """Return the responses without a form."""
    return [each for each in responses if each.status != 201]
