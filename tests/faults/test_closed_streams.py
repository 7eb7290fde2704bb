"""The signer is started with closed standard streams: no other file gets their descriptors, and it reports what is missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.faults.unread_output import DEFINITIONS
from tests.harness.files import write
from tests.harness.local_cloud import local_cloud
from tests.harness.ports import reserve_port
from tests.harness.processes import launch, run
from tests.harness.signer import signer
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.slow


def closing(redirections: str) -> tuple[str, ...]:
    """Return a command that closes streams and runs the command that follows."""
    return ("sh", "-c", f'exec "$@" {redirections}', "sh")


async def test_an_audit_log_on_a_closed_stdout_is_lost_and_counted(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        write(config := tmp_path / "signer.yaml", DEFINITIONS.format(metadata=cloud.metadata, more="audit: stdout"))
        async with signer(session, config, prefix=closing("<&- >&-")) as running:
            await running.upload_form("a")
            error = await running.wait_for_log("lines not written")
            assert error["reason"] == "stdout is closed; open it, or set audit to a path"
            assert await running.metric("log_blocked_seconds", sink="audit") > 0
            await running.upload_form("a")
            assert await running.stop() == 0
        [report] = running.log("lines lost")
        assert report["lines_lost"] == 2


async def test_without_streams_requests_are_answered_and_other_files_are_intact(tmp_path: Path) -> None:
    port = reserve_port()
    audit = tmp_path / "audit.log"
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        text = DEFINITIONS.format(metadata=cloud.metadata, more=f"audit: {audit}")
        write(config := tmp_path / "signer.yaml", text.replace("127.0.0.1:0", f"127.0.0.1:{port}", 1))
        command = (*closing("<&- >&- 2>&-"), sys.executable, "run.py", "serve", "--config", config)
        async with launch(*command) as process:

            async def is_signed() -> bool:
                try:
                    async with session.post(f"http://127.0.0.1:{port}/v1/apps/a/uploads", json={}) as response:
                        return response.status == 201
                except aiohttp.ClientConnectionError:
                    return False

            await wait_until(is_signed)
            assert await process.stop() == 0
    assert [json.loads(line)["event"] for line in audit.read_text(encoding="utf-8").splitlines()] == ["signature"]


@pytest.mark.parametrize("command", ["check", "pull", "schema"])
async def test_a_command_without_streams_ends_with_its_status(command: str, tmp_path: Path) -> None:
    write(config := tmp_path / "signer.yaml", "version: 1\ncredentials: {}\napps: {}\n")
    options = [] if command == "schema" else ["--config", config]
    completed = await run(*closing("<&- >&- 2>&-"), sys.executable, "run.py", command, *options)
    assert completed.status == 0
