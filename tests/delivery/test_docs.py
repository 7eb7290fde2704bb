"""The example in docs/callbacks.md is run: it takes what the signer sends, and nothing else."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import time
import uuid
from pathlib import Path

import aiohttp

from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.deliverer import Deliverer
from signer.delivery.events import UploadEvent
from signer.delivery.sqlite_queue import SqliteQueue
from tests.e2e.running import ROOT

LONG_SECONDS = 30.0
BODY = b'{"id": "1", "app": "a", "bucket": "photos", "key": "\xe7\x85\xa7\xe7\x89\x87.jpg"}'


async def test_the_example_takes_what_is_signed(outbound: aiohttp.ClientSession, tmp_path: Path) -> None:
    text = (ROOT / "docs/callbacks.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", example),
        env={**os.environ, "NOTIFY_SECRET": "shared", "PORT": str(port), "PYTHONIOENCODING": "utf-8"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    url = f"http://127.0.0.1:{port}/uploads"
    queue = await SqliteQueue.open(tmp_path / "q.db", lease_seconds=20)
    notifier = Deliverer(queue, outbound, lambda app: NotifyTarget(url, b"shared"), first_retry_seconds=0.1)
    try:
        await queue.put(UploadEvent(uuid.uuid4().hex, "a", "a/photos/x", BODY, time.time()))
        notifier.wake()
        async with asyncio.timeout(LONG_SECONDS):
            assert (await process.stdout.readline()).decode() == "a photos 照片.jpg\n"
            while queue.depth():
                await asyncio.sleep(0.01)
        now = str(int(time.time()))
        for headers in (
            {},
            {"X-Oss-Signer-Timestamp": now, "X-Oss-Signer-Signature": "sha256=" + "0" * 64},
            {"X-Oss-Signer-Timestamp": now, "X-Oss-Signer-Signature": "é"},
        ):
            async with outbound.post(url, data=BODY, headers=headers) as answer:
                assert answer.status == 403
    finally:
        await notifier.close()
        await queue.close()
        process.terminate()
        await process.wait()
