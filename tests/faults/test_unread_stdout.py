"""No process reads stdout, to which the audit log is written: signing continues, and the losses are counted in the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.unread_output import parsed, running_signer

pytestmark = pytest.mark.slow

SIGNATURES = 300
"""Their lines take more than the pipe and the buffers of the test's reader hold."""


async def test_signing_continues_and_all_lines_are_written_once_they_are_read(tmp_path: Path) -> None:
    async with running_signer(tmp_path, "audit: stdout") as running:
        stdout = running.signer.process.stdout
        await running.block(stdout, "audit")
        await running.check_requests_and_reloads()
        stdout.resume_reading()
        assert await running.signer.stop() == 0
        assert audited(running.signer.output, stdout.lines) == 0


async def test_the_shutdown_does_not_wait_and_counts_what_is_lost(tmp_path: Path) -> None:
    async with running_signer(tmp_path, "audit: stdout") as running:
        stdout = running.signer.process.stdout
        await running.block(stdout, "audit")
        for _ in range(SIGNATURES):
            await running.signer.upload_form("a")
        running.signer.process.terminate()
        assert await running.signer.process.wait() == 0
        stdout.resume_reading()
        await stdout.wait_for_end()
        [report] = running.signer.log("lines lost")
        assert report["sink"] == "audit"
        assert audited(running.signer.output, stdout.lines) == report["lines_lost"] >= SIGNATURES / 2


def audited(log: list[str], audit: list[str]) -> int:
    """Check that the audit log has whole lines of signatures, in order; return how many signatures it does not have."""
    signed = [entry["request_id"] for entry in parsed(log) if entry.get("status") == 201]
    found = [event["request_id"] for event in parsed(audit)]
    assert found == [each for each in signed if each in set(found)]
    return len(signed) - len(found)
