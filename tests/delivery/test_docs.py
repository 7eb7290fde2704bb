"""The examples in docs/callbacks.md are run: each accepts what the signer sends, and nothing else."""

from __future__ import annotations

import base64
import re
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.deliverer import Deliverer
from signer.delivery.event_signature import signature_headers, signing_key
from signer.delivery.queue import UploadEvent
from signer.delivery.sqlite_queue import SqliteQueue
from tests.harness.npm import install_packages
from tests.harness.ports import reserve_port
from tests.harness.processes import ROOT, launch
from tests.harness.programs import require_program
from tests.harness.waiting import wait_until

BODY = b'{"id": "1", "app": "a", "bucket": "photos", "key": "\xe7\x85\xa7\xe7\x89\x87.jpg"}'
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NODE_PACKAGES = Path(__file__).parent / "standard_webhooks"


async def python_command(example: Path) -> list[str]:
    return [sys.executable, str(example)]


async def node_command(example: Path) -> list[str]:
    await install_packages(NODE_PACKAGES)
    (example.parent / "node_modules").symlink_to(NODE_PACKAGES / "node_modules")
    return ["node", str(example)]


async def java_command(example: Path) -> list[str]:
    return [require_program("java"), "-Xshare:auto", "-XX:TieredStopAtLevel=1", str(example)]


@pytest.mark.parametrize(
    ("language", "name", "command"),
    [
        ("python", "uploads.py", python_command),
        ("js", "uploads.mjs", node_command),
        ("java", "Uploads.java", java_command),
    ],
)
async def test_an_example_accepts_signed_events_only(
    language: str,
    name: str,
    command: Callable[[Path], Awaitable[list[str]]],
    outbound: aiohttp.ClientSession,
    tmp_path: Path,
) -> None:
    text = (ROOT / "docs/callbacks.md").read_text(encoding="utf-8")
    code, *_ = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    example = tmp_path / name
    example.write_text(code, encoding="utf-8")
    port = reserve_port()
    url = f"http://127.0.0.1:{port}/uploads"
    key = signing_key(SECRET)
    queue = SqliteQueue.open(tmp_path / "q.db", lease_seconds=20)
    deliverer = Deliverer(queue, outbound, lambda app_id: NotifyTarget(url, key), first_retry_seconds=0.1)
    deliverer.start()
    try:
        environ = {"NOTIFY_SECRET": SECRET, "PORT": str(port), "PYTHONIOENCODING": "utf-8"}
        async with launch(*await command(example), environ=environ) as process:
            await queue.put(UploadEvent("1", "a", "a/photos/x", BODY, time.time()), remember_until=0)
            deliverer.wake()
            assert "照片.jpg" in await process.read_line()
            await wait_until(lambda: not queue.depth())
            now = str(int(time.time()))
            signed = signature_headers(key, event_id="1", timestamp=now, body=BODY)
            old = signature_headers(key, event_id="1", timestamp=str(int(time.time()) - 400), body=BODY)
            other = signature_headers(signing_key("another secret"), event_id="1", timestamp=now, body=BODY)
            for headers in ({}, {**signed, "webhook-signature": "é"}, {**signed, "webhook-id": "2"}, old, other):
                async with outbound.post(url, data=BODY, headers=headers) as response:
                    assert response.status == 403
    finally:
        await deliverer.stop()
        await queue.close()
