"""Lines reach what they are written to in order and whole, and a sink that hangs holds up nobody."""

from __future__ import annotations

import asyncio
import threading

import pytest

from signer.telemetry.line_writer import LineWriter

BURSTS, BURST = 4, 200_000
"""More than may wait: the first burst with the thread, of the others half a million."""


async def test_all_lines_are_written_in_order() -> None:
    written: list[bytes] = []
    writer = LineWriter(written.append)
    lines = [b"%d\n" % number for number in range(5000)]
    for number, line in enumerate(lines):
        writer.add(line)
        if number % 1000 == 0:
            async with asyncio.timeout(10):
                while not written or not written[-1].endswith(line):
                    await asyncio.sleep(0.001)
    await writer.close()
    assert b"".join(written) == b"".join(lines)
    assert len(written) < len(lines), "many at once"


async def test_what_a_sink_that_hangs_cannot_take_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    written: list[bytes] = []

    def write(lines: bytes) -> None:
        begun.set()
        may_go_on.wait()
        written.append(lines)

    writer = LineWriter(write)
    writer.add(b"first\n")
    async with asyncio.timeout(10):
        await asyncio.to_thread(begun.wait)
    for burst in range(BURSTS):
        for number in range(BURST):
            writer.add(b"%d\n" % (burst * BURST + number))
        # Nothing is to happen meanwhile: what is added waits.
        await asyncio.sleep(0.05)
    may_go_on.set()
    await writer.close()
    lines = b"".join(written).splitlines()
    [record] = [record for record in caplog.records if "were lost" in record.message]
    lost = vars(record)["lines"]
    assert lost > 0
    assert len(lines) + lost == 1 + BURSTS * BURST
    assert lines[1:3] == [b"0", b"1"], "the newest are lost, and none of those that waited"


@pytest.mark.parametrize("error", [OSError("disk full"), ValueError("I/O operation on closed file")])
async def test_an_error_of_the_sink_is_said_and_more_is_tried(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    written: list[bytes] = []

    def write(lines: bytes) -> None:
        if b"bad" in lines:
            raise error
        written.append(lines)

    writer = LineWriter(write)
    writer.add(b"bad\n")
    async with asyncio.timeout(10):
        while str(error) not in str([vars(record).get("reason") for record in caplog.records]):
            await asyncio.sleep(0.001)
    writer.add(b"good\n")
    await writer.close()
    assert written == [b"good\n"]
