"""A part of the signer hangs at the end: the process ends nevertheless, and logs what hangs."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.faults.unread_output import DEFINITIONS
from tests.harness.local_cloud import local_cloud
from tests.harness.plugin import install_store_plugin
from tests.harness.signer import signer

pytestmark = pytest.mark.slow

HANGING_STORE = """\
import asyncio, threading
from signer.stores.protocol import Snapshot

class hanging:
    location = "hanging://"
    def __init__(self, *_): pass
    async def load(self): return Snapshot({{"signer.yaml": {text!r}}}, "1")
    async def watch(self):
        await asyncio.Event().wait()
        yield
    async def close(self):
        await {wait}
"""


WAITS = {
    "thread": "asyncio.to_thread(threading.Event().wait)",
    "event loop": "asyncio.sleep(0, threading.Event().wait())",
}


async def test_a_second_sigterm_ends_a_shutdown_that_hangs(tmp_path: Path) -> None:
    """In a thread, or in the event loop itself. Both wait for the same time limit at the same time."""
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        text = DEFINITIONS.format(metadata=cloud.metadata, more="")
        stores = {name: HANGING_STORE.format(text=text, wait=wait) for name, wait in WAITS.items()}
        await asyncio.gather(*(end_twice(session, tmp_path / name, store) for name, store in stores.items()))


async def end_twice(session: aiohttp.ClientSession, directory: Path, store: str) -> None:
    """Send SIGTERM to a signer with this store, and again once it is stopping."""
    directory.mkdir()
    environ = install_store_plugin(directory, "hanging", store) | {"OSS_SIGNER_DRAIN_SECONDS": "3600"}
    arguments = ("hanging://", "--allow-hosts", "127.0.0.1")
    async with signer(session, *arguments, environ=environ) as running, session.get(running.public):
        running.process.terminate()
        await running.wait_for_log("stopping")
        running.process.send_signal(signal.SIGTERM)
        assert await running.process.wait() == 0
        assert running.log("stopped")
        [entry] = running.log("shutdown timed out")
        assert entry["exit_status"] == 0
        assert "MainThread" in entry["threads"]
