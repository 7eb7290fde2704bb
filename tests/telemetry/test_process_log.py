"""Everything that a process logs or prints to stderr is written by one thread, and nothing waits for it."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

from signer.telemetry.process_log import process_log
from tests.harness.log_file import log_file

log = logging.getLogger("oss_signer.any")


@contextlib.contextmanager
def logged(path: Path) -> Iterator[list[str]]:
    """Fill a list with the lines that this process logs in the block. pytest replaces stderr between fixture and test."""
    lines: list[str] = []
    with log_file(path / "log") as file:
        yield lines
        lines += file.read().splitlines()


def fail() -> None:
    raise ValueError("the secret is hunter2")


def test_an_exception_that_ends_a_thread(tmp_path: Path) -> None:
    with logged(tmp_path) as lines:
        thread = threading.Thread(target=fail, name="worker thread")
        thread.start()
        thread.join()
    [entry] = map(json.loads, lines)
    assert (entry["message"], entry["thread_name"]) == ("thread ended by an exception", "worker thread")
    assert entry["traceback"][-1] == "ValueError"
    assert "hunter2" not in str(entry)


def test_the_regular_end_of_a_thread_is_no_exception(tmp_path: Path) -> None:
    with logged(tmp_path) as lines:
        thread = threading.Thread(target=sys.exit)
        thread.start()
        thread.join()
    assert lines == []


def test_an_exception_in_a_destructor(tmp_path: Path) -> None:
    class Broken:
        def __del__(self) -> None:
            fail()

    with logged(tmp_path) as lines:
        broken = Broken()
        del broken
        gc.collect()
    [entry] = map(json.loads, lines)
    assert entry["message"] == "exception ignored"
    assert entry["object"].endswith("Broken.__del__")
    assert entry["traceback"][-1] == "ValueError"


def test_warnings_of_libraries(tmp_path: Path) -> None:
    with warnings.catch_warnings(), logged(tmp_path) as lines:
        warnings.simplefilter("always")
        warnings.warn("a function is deprecated", stacklevel=1)
    [entry] = map(json.loads, lines)
    assert (entry["logger"], entry["level"]) == ("py.warnings", "warning")
    assert "a function is deprecated" in entry["message"]


def test_what_is_printed_is_logged_line_by_line_and_in_order(tmp_path: Path) -> None:
    with logged(tmp_path) as lines:
        log.info("first")
        print("second, ", end="", file=sys.stderr)
        print("\ud83d", file=sys.stderr)
        try:
            fail()
        except ValueError:
            traceback.print_exc()
        log.info("last")
    assert json.loads(lines[0])["message"] == "first"
    assert lines[1:3] == ["second, \\ud83d", "Traceback (most recent call last):"]
    assert json.loads(lines[-1])["message"] == "last"


def test_lines_that_two_threads_print_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    with logged(tmp_path) as lines:
        print("from one ", end="", file=sys.stderr)
        other = threading.Thread(target=print, args=["from another thread"], kwargs={"file": sys.stderr})
        other.start()
        other.join()
        print("thread", file=sys.stderr)
    assert lines == ["from another thread", "from one thread"]


def test_an_unfinished_line_is_written_at_the_end(tmp_path: Path) -> None:
    with log_file(tmp_path / "log") as file:
        print("no line feed", end="", file=sys.stderr)
    assert file.path.read_text(encoding="utf-8") == "no line feed\n"


def test_the_former_state_is_restored(tmp_path: Path) -> None:
    def state() -> list[object]:
        root = logging.getLogger()
        hooks = (sys.stderr, threading.excepthook, sys.unraisablehook, warnings.showwarning)
        return [*hooks, *root.handlers, root.level, logging.getLogger("oss_signer").level]

    before = state()
    with log_file(tmp_path / "log"):
        assert state() != before
    assert state() == before


def test_a_reader_that_stops_delays_neither_callers_nor_the_end_and_no_later_print() -> None:
    reading, writing = os.pipe()
    stderr = sys.stderr
    try:
        with process_log(descriptor=writing) as lines:
            for _ in range(100):
                log.info("a line", extra={"text": "x" * 1000})
        assert lines.lost_lines > 0
        print("nobody reads this", file=sys.stderr)
        received = b""
        while len(received) < 2**15:
            received += os.read(reading, 2**16)
        whole = received.count(b"\n")
        assert received.endswith(b"\n"), "no half line"
        assert whole + lines.lost_lines == 102, "the lines, the report of the losses, and what was printed later"
    finally:
        sys.stderr = stderr
        os.close(reading)
        os.close(writing)
