"""The file of the callback queue is damaged: the signer moves it aside, keeps what can be read, and continues."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.delivery.queued_events import add_events
from tests.e2e.callbacks.callback_signer import CallbackSigner, callback_signer
from tests.e2e.callbacks.notify_server import NotifyServer
from tests.harness.local_cloud import Cloud
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow

WAITING = 60
PAGE = 4096
MIDDLE = slice(8 * PAGE, 14 * PAGE)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 3 // 4)


def overwrite_everything(path: Path) -> None:
    path.write_bytes(b"garbage" * 10_000)


def overwrite_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(MIDDLE.start)
        file.write(os.urandom(MIDDLE.stop - MIDDLE.start))


async def expect_deliveries(running: CallbackSigner, app_server: NotifyServer, *, at_least: int) -> None:
    """A new upload is delivered, and the waiting events that could be read."""
    app_server.weights = {"ok": 1}
    assert (await running.upload("a", "new.jpg")).status == 200
    await wait_until(lambda: "a/new.jpg" in keys(app_server))
    await wait_until(lambda: len(keys(app_server)) > at_least)
    await running.wait_for_counts(depth=0)


def keys(app_server: NotifyServer) -> set[str]:
    return {event["key"] for event in app_server.acknowledged.values()}


async def expect_report(running: CallbackSigner, path: Path) -> dict[str, Any]:
    """The log, the metric and the status page have the new name of the file."""
    assert running.running is not None
    entry = await running.running.wait_for_log("callback queue file corrupt")
    moved = Path(entry["moved_to"])
    assert moved.exists() and moved.name.startswith("q.db.corrupt-")
    assert (entry["level"], entry["file"]) == ("error", str(path))
    assert await running.running.metric("callback_queue_corrupt_files") == 1
    assert str(moved) in str((await running.running.status())["troubles"])
    return entry


@pytest.mark.parametrize(
    ("damage", "at_least"), [(truncate, 10), (overwrite_everything, 0), (overwrite_the_middle, WAITING // 2)]
)
async def test_a_file_that_is_damaged_while_no_signer_runs_is_replaced_at_the_start(
    damage: Callable[[Path], None],
    at_least: int,
    session: aiohttp.ClientSession,
    cloud: Cloud,
    app_server: NotifyServer,
    tmp_path: Path,
) -> None:
    path = tmp_path / "q.db"
    apps = {"a": {"key_prefix": "a/", "notify": app_server.target}}
    async with callback_signer(session, cloud, tmp_path, str(path), apps, callback_timeout="1s") as running:
        app_server.weights = {"error": 1}
        await add_events(str(path), "a", (f"{number}.jpg" for number in range(WAITING)), text="x" * 500)
        await wait_until(lambda: app_server.received)
        await running.stop()
        damage(path)
        await running.start()
        assert running.running is not None
        assert await running.running.is_ready()
        entry = await expect_report(running, path)
        assert entry["salvaged_events"] >= at_least
        await expect_deliveries(running, app_server, at_least=entry["salvaged_events"])


async def test_pages_that_are_overwritten_while_signers_run_stop_no_delivery(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: NotifyServer, tmp_path: Path
) -> None:
    """Two signers share the file; one of them replaces it, and what the other adds is delivered too."""
    path = tmp_path / "q.db"
    apps = {"a": {"key_prefix": "a/", "notify": app_server.target}}
    async with contextlib.AsyncExitStack() as stack:
        one = await stack.enter_async_context(
            callback_signer(session, cloud, tmp_path / "1", str(path), apps, callback_timeout="1s")
        )
        app_server.weights = {"error": 1}
        await add_events(str(path), "a", (f"{number}.jpg" for number in range(WAITING)), text="x" * 500)
        await wait_until(lambda: app_server.received)
        # Now everything is in the file itself, and both signers read it again after each change of the other.
        await one.stop()
        await one.start()
        other = await stack.enter_async_context(
            callback_signer(session, cloud, tmp_path / "2", str(path), apps, callback_timeout="1s")
        )
        overwrite_the_middle(path)
        for number in range(20):
            await (one, other)[number % 2].upload("a", f"after {number}.jpg")
        app_server.weights = {"ok": 1}
        expected = {f"a/after {number}.jpg" for number in range(20)}
        await wait_until(lambda: expected <= keys(app_server))
        await wait_until(lambda: len(keys(app_server)) >= 20 + WAITING // 2)
        await one.wait_for_counts(depth=0)
        assert one.running is not None and other.running is not None
        entries = one.running.log("callback queue file corrupt") + other.running.log("callback queue file corrupt")
        assert len(entries) == 1
        assert entries[0]["salvaged_events"] >= WAITING // 2
