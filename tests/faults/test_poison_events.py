"""An app's server rejects the events of some objects forever: all others are delivered, and an operator decides."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from signer.delivery.queue import UploadEvent
from signer.delivery.sqlite_queue import SqliteQueue
from tests.delivery.queued_events import add_events
from tests.e2e.callbacks.callback_signer import callback_signer
from tests.e2e.callbacks.notify_server import NotifyServer, notify_server
from tests.harness.local_cloud import Cloud
from tests.harness.redis_server import redis_server
from tests.harness.signer import run_command
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow

BAD, GOOD = [f"bad-{number}.jpg" for number in range(40)], [f"good-{number}.jpg" for number in range(69)]
OLD_SECONDS = 4 * 86400.0
"""An event of this age becomes a dead letter after one failure."""


def apps_of(*servers: NotifyServer) -> dict[str, Any]:
    return {name: {"key_prefix": f"{name}/", "notify": each.target} for name, each in zip("ab", servers, strict=False)}


@pytest.mark.parametrize("has_accepted_before", [True, False])
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_rejected_events_block_no_others(
    kind: str,
    has_accepted_before: bool,
    session: aiohttp.ClientSession,
    cloud: Cloud,
    app_server: NotifyServer,
    tmp_path: Path,
) -> None:
    """Neither if the server has accepted events before, nor if it looks misconfigured at first."""
    app_server.rejected_keys = {f"a/{name}" for name in BAD}
    async with contextlib.AsyncExitStack() as stack:
        other_server = await stack.enter_async_context(notify_server())
        queue = str(tmp_path / "q.db")
        if kind == "redis":
            queue = (await stack.enter_async_context(redis_server(tmp_path / "redis"))).address
        apps = apps_of(app_server, other_server)
        running = await stack.enter_async_context(callback_signer(session, cloud, tmp_path / "signer", queue, apps))
        if has_accepted_before:
            await add_events(queue, "a", ["first.jpg"])
            await wait_until(lambda: app_server.acknowledged)
        await add_events(queue, "a", BAD)
        await wait_until(lambda: len(app_server.received) >= 10)
        await add_events(queue, "a", GOOD)
        assert (await running.upload("a", "uploaded.jpg")).status == 200
        assert (await running.upload("b", "other.jpg")).status == 200
        await wait_until(lambda: other_server.acknowledged)
        expected = {f"a/{name}" for name in (*GOOD, "uploaded.jpg")}
        await wait_until(lambda: expected <= {event["key"] for event in app_server.acknowledged.values()})
        await running.wait_for_counts(depth=len(BAD))
        assert running.running is not None
        failures = running.running.log("delivery failed")
        assert "event" in {entry["counts_against"] for entry in failures}


async def test_an_operator_lists_retries_and_drops_dead_letters(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: NotifyServer, tmp_path: Path
) -> None:
    app_server.weights = {"error": 1}
    path = tmp_path / "q.db"
    kept, dropped = old_event("kept.jpg"), old_event("dropped.jpg")
    queue = SqliteQueue.open(path, lease_seconds=1.0)
    for each in (kept, dropped):
        await queue.put(each, remember_until=0)
    await queue.close()
    async with callback_signer(session, cloud, tmp_path / "signer", str(path), apps_of(app_server)) as running:
        await running.wait_for_counts(notify_dead_lettered=2)
        assert running.running is not None
        admin = ("--admin", running.running.admin)
        listed = json.loads((await run_command("events", "list", "--json", *admin)).out)
        assert {each["id"]: each["event"]["key"] for each in listed} == {
            kept.id: "a/kept.jpg",
            dropped.id: "a/dropped.jpg",
        }
        assert await running.running.metric("dead_letters") == 2
        assert "2 callbacks could not be delivered" in str((await running.running.status())["troubles"])
        app_server.weights = {"ok": 1}
        # A newer upload of the same object is delivered, so the retried event is late.
        assert (await running.upload("a", "kept.jpg")).status == 200
        await wait_until(lambda: app_server.acknowledged)
        assert (await run_command("events", "drop", dropped.id, *admin)).out == "dropped 1 event\n"
        assert (await run_command("events", "retry", "--all", *admin)).out == "retried 1 event\n"
        late = await wait_until(lambda: app_server.acknowledged.get(kept.id))
        assert late == {**json.loads(kept.body), "late": True}
        await running.wait_for_counts(depth=0)
        assert await running.running.metric("dead_letters") == 0
        assert dropped.id not in app_server.acknowledged


def old_event(name: str) -> UploadEvent:
    event_id = uuid.uuid4().hex
    document = {"id": event_id, "type": "upload", "app": "a", "bucket": "photos", "key": f"a/{name}"}
    received_at = time.time() - OLD_SECONDS
    return UploadEvent(event_id, "a", f"a/photos/a/{name}", json.dumps(document).encode(), received_at)
