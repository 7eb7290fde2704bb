"""The disk of the callback queue is full, at the start and later: the signer signs, reports it, and recovers by itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.callbacks.callback_signer import CallbackSigner, callback_signer
from tests.e2e.callbacks.notify_server import NotifyServer
from tests.harness.files import write
from tests.harness.local_cloud import Cloud
from tests.harness.processes import run
from tests.harness.programs import require_program, unavailable
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow

FULL_DISK = "mount -t tmpfs -o size=1m none {disk} && { head -c 2M /dev/zero > {disk}/filler 2>/dev/null || true; }"


@pytest.fixture
async def disk(tmp_path: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a disk of 1 MiB, which is full, and which only the signer has: a mount namespace of its own."""
    (disk := tmp_path / "disk").mkdir()
    prepare = FULL_DISK.replace("{disk}", str(disk))
    if (await run(require_program("unshare"), "-rm", "sh", "-c", prepare)).status != 0:
        unavailable("this system does not permit the namespace")
    # This script replaces the Python interpreter of the signer, in the same process.
    python = tmp_path / "python"
    write(python, f'#!/bin/sh\nexec unshare -rm sh -c \'{prepare} && exec "$0" "$@"\' {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    return disk


async def test_a_full_disk_stops_only_callbacks(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: NotifyServer, disk: Path, tmp_path: Path
) -> None:
    apps = {"a": {"key_prefix": "a/", "notify": app_server.target}}
    async with callback_signer(session, cloud, tmp_path / "signer", str(disk / "q.db"), apps) as running:
        assert running.running is not None
        filler = Path(f"/proc/{running.running.process.pid}/root{disk}/filler")
        assert await running.running.is_ready()
        await expect_rejection(running, cloud)
        filler.unlink()
        accepted = await upload_until_accepted(running, "after the start")
        fill(filler)
        await wait_until(lambda: rejects(running))
        await expect_rejection(running, cloud)
        filler.unlink()
        accepted += await upload_until_accepted(running, "later")
        await wait_until(lambda: {*accepted} <= {event["key"] for event in app_server.acknowledged.values()})
        await running.wait_for_counts(depth=0)


def fill(filler: Path) -> None:
    """Write to a file until the disk is full."""
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(descriptor, bytes(4096))
    except OSError:
        pass
    finally:
        os.close(descriptor)


async def expect_rejection(running: CallbackSigner, cloud: Cloud) -> None:
    """A callback gets 503 with Retry-After, its client 203, and the operator sees why."""
    assert running.running is not None
    uploaded = await running.upload("a", "rejected.jpg")
    assert (uploaded.status, "Error status : 503." in uploaded.text) == (203, True), uploaded.text
    async with running.session.get(f"{cloud.oss}/-/callbacks") as response:
        call = (await response.json())[-1]
    async with running.session.post(call["url"], data=call["body"].encode(), headers=call["headers"]) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
    assert await running.running.metric("callback_queue_available") == 0
    status = await running.running.status()
    assert status["callback_queue_error"] == "the disk is full"
    assert "the callback queue is unavailable: the disk is full" in str(status["troubles"])
    assert await running.running.upload_status("a") == 201
    assert running.running.log("callback queue unavailable")[-1]["reason"] == "the disk is full"


async def rejects(running: CallbackSigner) -> bool:
    return (await running.upload("a", "more.jpg")).status == 203


async def upload_until_accepted(running: CallbackSigner, name: str) -> list[str]:
    """Upload until a callback is accepted, and return the key of its object."""

    async def upload() -> str | None:
        uploaded = await running.upload("a", f"{name}.jpg")
        return str(uploaded.json["key"]) if uploaded.status == 200 else None

    return [await wait_until(upload)]
