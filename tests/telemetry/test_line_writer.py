"""Lines are written whole and in order, and a write that blocks delays no caller."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from signer.telemetry.line_writer import LineWriter
from tests.harness.waiting import deadline, wait_until


async def test_all_lines_are_written_in_order() -> None:
    written: list[bytes] = []
    writer = LineWriter(written.append)
    lines = [b"%d\n" % number for number in range(5000)]

    def ends_with(line: bytes) -> bool:
        return bool(written) and written[-1].endswith(line)

    for number, line in enumerate(lines):
        writer.add(line)
        if number % 1000 == 0:
            await wait_until(partial(ends_with, line))
    await writer.close()
    assert b"".join(written) == b"".join(lines)
    assert len(written) < len(lines), "several lines per write"


async def test_lines_are_dropped_and_counted_while_writing_blocks(caplog: pytest.LogCaptureFixture) -> None:
    started, may_continue = threading.Event(), threading.Event()
    written: list[bytes] = []

    def write(lines: bytes) -> None:
        started.set()
        may_continue.wait()
        written.append(lines)

    writer = LineWriter(write, max_waiting_lines=10)
    writer.add(b"first\n")
    async with deadline():
        await asyncio.to_thread(started.wait)
    for number in range(25):
        writer.add(b"%d\n" % number)
    may_continue.set()
    await writer.close()
    assert b"".join(written).splitlines() == [b"first", *(b"%d" % number for number in range(10))], "the newest drop"
    [record] = [record for record in caplog.records if "lines dropped" in record.message]
    assert vars(record)["lines"] == 15


@pytest.mark.parametrize("error", [OSError("disk full"), ValueError("I/O operation on closed file")])
async def test_a_failed_write_is_logged_and_later_lines_are_written(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    written: list[bytes] = []

    def write(lines: bytes) -> None:
        if b"bad" in lines:
            raise error
        written.append(lines)

    writer = LineWriter(write)
    writer.add(b"bad\n")
    await wait_until(lambda: str(error) in str([vars(record).get("reason") for record in caplog.records]))
    writer.add(b"good\n")
    await writer.close()
    assert written == [b"good\n"]


async def test_without_lines_nothing_is_written() -> None:
    written: list[bytes] = []
    await LineWriter(written.append).close()
    assert written == []
