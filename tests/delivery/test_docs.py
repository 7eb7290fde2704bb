"""The example in docs/callbacks.md is run: it accepts what the signer sends, and nothing else."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import aiohttp

from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.deliverer import Deliverer
from signer.delivery.queue import UploadEvent
from signer.delivery.sqlite_queue import SqliteQueue
from tests.harness.ports import reserve_port
from tests.harness.processes import ROOT, launch
from tests.harness.waiting import wait_until

BODY = b'{"id": "1", "app": "a", "bucket": "photos", "key": "\xe7\x85\xa7\xe7\x89\x87.jpg"}'


async def test_example_accepts_signed_events_only(outbound: aiohttp.ClientSession, tmp_path: Path) -> None:
    text = (ROOT / "docs/callbacks.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    port = reserve_port()
    url = f"http://127.0.0.1:{port}/uploads"
    queue = SqliteQueue.open(tmp_path / "q.db", lease_seconds=20)
    deliverer = Deliverer(queue, outbound, lambda app_id: NotifyTarget(url, b"shared"), first_retry_seconds=0.1)
    deliverer.start()
    try:
        environ = {"NOTIFY_SECRET": "shared", "PORT": str(port), "PYTHONIOENCODING": "utf-8"}
        async with launch(sys.executable, "-c", example, environ=environ) as process:
            await queue.put(UploadEvent("1", "a", "a/photos/x", BODY, time.time()), remember_until=0)
            deliverer.wake()
            assert await process.read_line() == "a photos 照片.jpg"
            await wait_until(lambda: not queue.depth())
            now = str(int(time.time()))
            for headers in (
                {},
                {"X-Oss-Signer-Timestamp": now, "X-Oss-Signer-Signature": "sha256=" + "0" * 64},
                {"X-Oss-Signer-Timestamp": now, "X-Oss-Signer-Signature": "é"},
            ):
                async with outbound.post(url, data=BODY, headers=headers) as answer:
                    assert answer.status == 403
    finally:
        await deliverer.stop()
        await queue.close()
