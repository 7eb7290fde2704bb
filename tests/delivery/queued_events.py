"""Events, and queues that are opened for a test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import Any

from signer.delivery.queue import ClaimedEvent, EventQueue, UploadEvent
from signer.delivery.queue_factory import open_queue
from tests.harness.waiting import wait_until

LEASE_SECONDS = 30.0


def event(name: str, number: int = 0, app: str = "a", received_at: float | None = None, **members: Any) -> UploadEvent:
    """Return an event of an object; its body has the name and the number."""
    event_id = uuid.uuid4().hex
    body = json.dumps({"id": event_id, "app": app, "name": name, "number": number, **members}).encode()
    return UploadEvent(event_id, app, f"{app}/photos/{name}", body, time.time() if received_at is None else received_at)


@contextlib.asynccontextmanager
async def opened(
    address: str, lease_seconds: float = LEASE_SECONDS, max_events: int = 1000
) -> AsyncIterator[EventQueue]:
    """Open the queue of an address, and close it."""
    async with closing(open_queue(address, lease_seconds=lease_seconds, max_events=max_events)) as queue:
        yield queue


@contextlib.asynccontextmanager
async def closing(queue: EventQueue) -> AsyncIterator[EventQueue]:
    """Close a queue after the block."""
    try:
        yield queue
    finally:
        await queue.close()


async def put(queue: EventQueue, *events: UploadEvent) -> None:
    """Put events in this order; their ids are not remembered."""
    for each in events:
        assert await queue.put(each, remember_until=0)


async def add_events(address: str, app: str, names: Iterable[str], **members: Any) -> None:
    """Add events of uploads to the queue of running signers, as another signer does."""
    async with opened(address) as queue:
        events = [event(name, app=app, bucket="photos", key=f"{app}/{name}", **members) for name in names]
        await asyncio.gather(*(put(queue, each) for each in events))


async def claim(queue: EventQueue, max_events: int = 10) -> list[ClaimedEvent]:
    """Claim events that are due."""
    return await queue.claim(max_events, {}, max_events)


async def claim_one(queue: EventQueue) -> ClaimedEvent:
    """Wait for an event that is due."""
    [claimed] = await wait_until(lambda: claim(queue, 1))
    return claimed
