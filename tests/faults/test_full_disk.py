"""The disk of the audit log is full: signing continues, the file has whole lines only, and each lost line is counted.

Two workers append to the file, on a small tmpfs in a mount namespace.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.faults.unread_output import DEFINITIONS, parsed
from tests.harness.files import write
from tests.harness.local_cloud import local_cloud
from tests.harness.processes import ROOT
from tests.harness.programs import require_program
from tests.harness.signer import Signer, signer
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow

MOUNT = 'mount -t tmpfs -o size=64k tmpfs "$1" && head -c 40000 /dev/zero > "$1/filler" && shift && exec "$@"'


@dataclass
class Workers:
    """Two workers that append to one audit log on a full disk."""

    workers: tuple[Signer, Signer]
    disk: Path
    """The disk, as it is seen from outside of the namespace."""

    def audit_lines(self) -> list[str]:
        """Return the lines of the audit log; each is whole, also while the disk is full."""
        file = self.disk / "audit.log"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        assert text == "" or text.endswith("\n")
        return text.splitlines()

    async def fill_disk(self) -> None:
        """Request signatures from both workers until neither can write its lines."""

        async def is_full() -> bool:
            for worker in self.workers:
                await worker.upload_form("a")
            self.audit_lines()
            return all([await worker.metric("log_blocked_seconds", sink="audit") > 0.1 for worker in self.workers])

        await wait_until(is_full)
        for worker in self.workers:
            for _ in range(20):
                await worker.upload_form("a")
            assert worker.log("lines not written")[0]["reason"].endswith("No space left on device")

    def signed(self) -> list[str]:
        """Return the ids of all requests that were signed."""
        return [
            entry["request_id"]
            for worker in self.workers
            for entry in parsed(worker.output)
            if entry.get("status") == 201
        ]


@contextlib.asynccontextmanager
async def workers(directory: Path) -> AsyncIterator[Workers]:
    (disk := directory / "disk").mkdir()
    unshare, nsenter = require_program("unshare"), require_program("nsenter")
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        config = directory / "signer.yaml"
        write(config, DEFINITIONS.format(metadata=cloud.metadata, more=f"audit: {disk}/audit.log"))
        mount = (unshare, "--mount", "sh", "-c", MOUNT, "mount", disk)
        async with signer(session, config, prefix=mount) as first:
            pid = first.process.pid
            enter = (nsenter, f"--mount=/proc/{pid}/ns/mnt", f"--wd={ROOT}")
            async with signer(session, config, prefix=enter) as second:
                yield Workers((first, second), Path(f"/proc/{pid}/root{disk}"))


async def test_lines_wait_for_space_and_none_is_lost(tmp_path: Path) -> None:
    async with workers(tmp_path) as running:
        await running.fill_disk()
        (running.disk / "filler").unlink()
        for worker in running.workers:
            assert (await worker.wait_for_log("lines written again"))["lines_lost"] == 0
            await worker.upload_form("a")
            assert await worker.metric("log_lines_lost_total", sink="audit") == 0

        def audited() -> list[str]:
            return [json.loads(line)["request_id"] for line in running.audit_lines()]

        # Both logs are written a moment later.
        await wait_until(lambda: sorted(audited()) == sorted(running.signed()))


async def test_the_shutdown_counts_the_lines_that_are_lost(tmp_path: Path) -> None:
    async with workers(tmp_path) as running:
        await running.fill_disk()
        lost = 0
        for worker in reversed(running.workers):
            audited = running.audit_lines()
            assert await worker.stop() == 0
            [report] = worker.log("lines lost")
            assert report["sink"] == "audit"
            lost += report["lines_lost"]
        ids = [json.loads(line)["request_id"] for line in audited]
        assert lost == len(running.signed()) - len(ids) > 0
        assert set(ids) < set(running.signed())
