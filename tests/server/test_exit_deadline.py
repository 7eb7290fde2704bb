"""A process whose shutdown hangs ends nevertheless, with its log."""

from __future__ import annotations

import json
import queue
import threading
from pathlib import Path

from signer.server.exit_deadline import ExitDeadline
from tests.harness.log_file import log_file
from tests.harness.waiting import DEADLINE_SECONDS


def test_the_process_ends_after_the_time_and_logs_what_hangs(tmp_path: Path) -> None:
    ends: queue.SimpleQueue[int] = queue.SimpleQueue()
    may_end = threading.Event()
    hanging = threading.Thread(target=may_end.wait, name="hanging thread")
    hanging.start()
    try:
        with log_file(tmp_path / "log") as log:
            ExitDeadline(ends.put).start(0.01, status=3)
            assert ends.get(timeout=DEADLINE_SECONDS) == 3
            entry = json.loads(log.path.read_text(encoding="utf-8"))
    finally:
        may_end.set()
        hanging.join()
    assert (entry["message"], entry["exit_status"]) == ("shutdown timed out", 3)
    assert "hanging thread" in entry["threads"]


def test_a_later_deadline_replaces_an_earlier_one() -> None:
    ends: queue.SimpleQueue[int] = queue.SimpleQueue()
    deadline = ExitDeadline(ends.put)
    deadline.start(3600, status=1)
    deadline.start(0.01, status=2)
    assert ends.get(timeout=DEADLINE_SECONDS) == 2
