"""Lines are written whole and in order, and a write that blocks or fails delays no caller."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from signer.telemetry.line_writer import LineWriter
from signer.telemetry.logs import LogHandler
from tests.harness.waiting import deadline, wait_until


class Sink:
    """Collects what is written, and can block or fail."""

    def __init__(self) -> None:
        self.data = b""
        self.error: OSError | None = None
        self.started = threading.Event()
        self._may_continue = threading.Event()
        self._may_continue.set()

    def block(self) -> None:
        self._may_continue.clear()

    def unblock(self) -> None:
        self._may_continue.set()

    def write(self, lines: memoryview) -> int:
        self.started.set()
        self._may_continue.wait()
        if self.error is not None:
            raise self.error
        self.data += lines
        return len(lines)

    @property
    def lines(self) -> list[bytes]:
        return self.data.splitlines()


class Clock:
    """A monotonic clock that a test sets."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def sink() -> Sink:
    return Sink()


def numbered(count: int) -> list[bytes]:
    return [b"%d\n" % number for number in range(count)]


def events(caplog: pytest.LogCaptureFixture, message: str) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.message == message]


async def blocked_writer(sink: Sink, **options: Any) -> LineWriter:
    """Return a writer whose thread hangs in the write of its first line."""
    sink.block()
    writer = LineWriter("log", sink.write, **options)
    writer.add(b"first\n")
    async with deadline():
        await asyncio.to_thread(sink.started.wait)
    return writer


async def test_gathered_lines_are_written_in_order_and_together(sink: Sink) -> None:
    writes: list[int] = []

    def write(lines: memoryview) -> int:
        writes.append(len(lines))
        return sink.write(lines)

    writer = LineWriter("log", write)
    lines = numbered(5000)
    for number, line in enumerate(lines):
        writer.gather(line)
        if number % 1000 == 0:
            await wait_until(partial(lambda line: sink.data.endswith(line), line))
    writer.flush()
    assert writer.close()
    assert sink.data == b"".join(lines)
    assert len(writes) < len(lines)


async def test_a_line_follows_those_that_its_thread_has_gathered(sink: Sink) -> None:
    writer = LineWriter("log", sink.write)
    writer.gather(b"request\n")
    writer.add(b"event\n")
    writer.gather(b"next request\n")
    await wait_until(lambda: len(sink.lines) == 3)
    assert sink.lines == [b"request", b"event", b"next request"]
    assert writer.close()


def test_threads_add_lines_without_an_event_loop(sink: Sink) -> None:
    writer = LineWriter("log", sink.write)

    def add(name: bytes) -> None:
        for line in numbered(500):
            writer.add(name + line)

    names = [b"a", b"b", b"c", b"d"]
    threads = [threading.Thread(target=add, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.close()
    for name in names:
        own = [line[1:] + b"\n" for line in sink.lines if line.startswith(name)]
        assert own == numbered(500)


async def test_a_blocked_write_delays_neither_callers_nor_the_end(sink: Sink) -> None:
    writer = await blocked_writer(sink)
    await wait_until(writer.blocked_seconds)
    writer.add(b"second\n")
    writer.gather(b"third\n")
    writer.flush()
    assert not writer.close(timeout_seconds=0.01)
    assert writer.lost_lines == 3
    writer.add(b"too late\n")
    assert writer.lost_lines == 4
    sink.unblock()
    await wait_until(lambda: not any(thread.name == "write log" for thread in threading.enumerate()))
    assert sink.lines == [b"first"], "what was counted as lost is not written later"


async def test_no_line_that_was_counted_as_lost_follows_a_write_that_ends_late(sink: Sink) -> None:
    sink.block()
    writer = LineWriter("log", write_first_line(sink))
    writer.add(b"".join(numbered(3)))
    async with deadline():
        await asyncio.to_thread(sink.started.wait)
    assert not writer.close(timeout_seconds=0.01)
    assert writer.lost_lines == 3
    sink.unblock()
    await wait_until(lambda: not any(thread.name == "write log" for thread in threading.enumerate()))
    assert sink.lines == [b"0"]


async def test_closing_several_writers_that_hang_takes_as_long_as_closing_one() -> None:
    clock = Clock()
    sinks = [Sink() for _ in range(3)]
    writers = [await blocked_writer(sink, monotonic=clock) for sink in sinks]
    clock.seconds += 3600
    try:
        async with deadline():
            for writer in writers:
                assert not await asyncio.to_thread(writer.close, 3600)
    finally:
        for sink in sinks:
            sink.unblock()


async def test_a_write_that_only_failed_before_the_end_gets_the_whole_time(
    sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk has space again, and is slow."""
    clock = Clock()
    writer = LineWriter("audit", sink.write, retry_seconds=3600, monotonic=clock)
    sink.error = OSError(28, "No space left on device")
    writer.add(b"first\n")
    await wait_until(lambda: events(caplog, "lines not written"))
    clock.seconds += 3600
    sink.error = None
    sink.block()
    closing = asyncio.create_task(asyncio.to_thread(writer.close, 3600))
    await asyncio.wait([closing], timeout=0.1)
    sink.unblock()
    assert await closing
    assert (sink.lines, writer.lost_lines) == ([b"first"], 0)


async def test_lines_that_do_not_fit_are_lost_counted_and_reported_once(
    sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    writer = await blocked_writer(sink, max_waiting_bytes=len(b"first\n") + 10 * len(b"0\n"))
    for line in numbered(10):
        writer.add(line)
    for line in numbered(3):
        writer.add(line)
    writer.gather(b"lost\nlost\n")
    writer.flush()
    assert writer.lost_lines == 5
    assert not events(caplog, "lines written again")
    sink.unblock()
    [event] = await wait_until(lambda: events(caplog, "lines written again"))
    assert (event["sink"], event["lines_lost"]) == ("log", 5)
    writer.add(b"later\n")
    assert writer.close()
    assert sink.lines == [b"first", *(line.strip() for line in numbered(10)), b"later"]
    assert len(events(caplog, "lines written again")) == 1
    assert writer.lost_lines == 5
    assert writer.blocked_seconds() == 0


async def test_the_report_of_lost_lines_fits_into_the_full_buffer_of_the_log(sink: Sink) -> None:
    writer = await blocked_writer(sink, max_waiting_bytes=20)
    handler = LogHandler(writer)
    logging.getLogger().addHandler(handler)
    try:
        writer.add(b"too long for the buffer\n")
        sink.unblock()
        await wait_until(lambda: len(sink.lines) == 2)
    finally:
        logging.getLogger().removeHandler(handler)
    assert json.loads(sink.lines[1])["lines_lost"] == 1
    assert writer.close()


async def test_losses_to_a_slow_reader_are_reported_although_lines_always_wait(
    sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    line = b"x" * 2**15 + b"\n"
    other_threads = ThreadPoolExecutor(1)

    def add_more_than_is_read(lines: memoryview) -> int:
        for _ in range(0 if is_enough else 20):
            other_threads.submit(writer.add, line).result()
        return sink.write(lines)

    is_enough = False
    writer = LineWriter("log", add_more_than_is_read, max_waiting_bytes=8 * len(line))
    writer.add(line)
    await wait_until(lambda: len(events(caplog, "lines written again")) >= 3)
    assert writer.blocked_seconds() > 0
    is_enough = True
    assert writer.close()
    other_threads.shutdown()
    reports = events(caplog, "lines written again") + events(caplog, "lines lost")
    assert sum(report["lines_lost"] for report in reports) == writer.lost_lines > 0


async def test_after_an_error_the_lines_are_written_again(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    writer = LineWriter("audit", sink.write, retry_seconds=0.01)
    sink.error = OSError(28, "No space left on device")
    writer.add(b"first\n")
    [event] = await wait_until(lambda: events(caplog, "lines not written"))
    assert (event["sink"], event["reason"]) == ("audit", "No space left on device")
    writer.add(b"second\n")
    sink.error = None
    [event] = await wait_until(lambda: events(caplog, "lines written again"))
    assert event["lines_lost"] == 0
    assert writer.close()
    assert sink.lines == [b"first", b"second"]
    assert len(events(caplog, "lines not written")) == 1


async def test_the_end_counts_what_an_error_leaves_unwritten(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    """The last attempt is made at once, and not after the usual pause."""
    writer = LineWriter("audit", sink.write, retry_seconds=3600)
    sink.error = OSError(28, "No space left on device")
    writer.add(b"first\n")
    await wait_until(lambda: events(caplog, "lines not written"))
    writer.add(b"second\n")
    assert writer.close(timeout_seconds=3600)
    assert writer.lost_lines == 2
    [event] = events(caplog, "lines lost")
    assert event["lines_lost"] == 2


def write_first_line(sink: Sink) -> Callable[[memoryview], int]:
    """Write one line for each call, and fail after three."""

    def write(lines: memoryview) -> int:
        if len(sink.lines) == 3:
            raise OSError(28, "No space left on device")
        end = bytes(lines).index(b"\n") + 1
        return sink.write(lines[:end])

    return write


async def test_lines_of_a_piece_count_as_lost_from_the_first_unwritten_one(sink: Sink) -> None:
    writer = LineWriter("audit", write_first_line(sink), retry_seconds=3600)
    writer.add(b"".join(numbered(10)))
    assert writer.close(timeout_seconds=3600)
    assert sink.lines == [b"0", b"1", b"2"]
    assert writer.lost_lines == 7


async def test_waiting_lines_take_hardly_more_memory_than_their_bytes(sink: Sink) -> None:
    writer = await blocked_writer(sink)
    line = b"x" * 399 + b"\n"
    tracemalloc.start()
    try:
        for _ in range(10_000):
            # A new object for each line, with the memory that a serializer leaves around it.
            writer.add(bytes(bytearray(line)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 1.2 * 10_000 * len(line)
    sink.unblock()
    assert writer.close()


async def test_without_lines_nothing_is_written(sink: Sink) -> None:
    writer = LineWriter("log", sink.write)
    assert writer.close()
    assert sink.data == b""
