"""No process reads the log: everything else continues, and lines are lost only when 32 MB of them wait."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.faults.unread_output import (
    LONG_LINE_BYTES,
    LONG_PATH,
    MAX_WAITING_BYTES,
    parsed,
    running_signer,
    send_pipelined,
)

pytestmark = pytest.mark.slow


async def test_requests_reloads_credentials_and_the_shutdown_continue(tmp_path: Path) -> None:
    async with running_signer(tmp_path) as running:
        await running.block(running.signer.process.stderr, "log")
        await running.check_requests_and_reloads()
        assert await running.lost_lines("log") == 0
        running.signer.process.terminate()
        assert await running.signer.process.wait() == 0


async def test_a_crash_does_not_wait_for_the_reader(tmp_path: Path) -> None:
    """systemd's watchdog ends a process with SIGABRT, after which it writes a traceback."""
    async with running_signer(tmp_path) as running:
        await running.block(running.signer.process.stderr, "log")
        running.signer.process.send_signal(signal.SIGABRT)
        assert await running.signer.process.wait() == -signal.SIGABRT


async def test_lines_that_do_not_fit_are_counted_and_reported_once_they_are_read_again(tmp_path: Path) -> None:
    async with running_signer(tmp_path) as running:
        stderr = running.signer.process.stderr
        await running.block(stderr, "log")
        count = MAX_WAITING_BYTES // LONG_LINE_BYTES
        await send_pipelined(running.signer.public, f"GET {LONG_PATH} HTTP/1.1\r\nHost: s\r\n\r\n".encode(), count)
        assert await running.lost_lines("log") > 0
        stderr.resume_reading()
        report = json.loads(await stderr.find_line("lines written again"))
        assert report["sink"] == "log"
        assert report["lines_lost"] == await running.lost_lines("log")
        assert await running.signer.stop() == 0
    entries = parsed(stderr.lines)
    assert [entry["message"] for entry in entries].count("lines written again") == 1
    assert entries[-1]["message"] == "stopped"
    numbers = [int(entry["request_id"][-12:], 16) for entry in entries if entry["message"] == "request"]
    assert numbers == sorted(numbers)
    assert report["lines_lost"] == numbers[-1] + 1 - len(numbers), "the numbers of requests have no other gap"
