"""The log on a terminal is for people; elsewhere it is JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from signer.telemetry.terminal_lines import TerminalLines
from tests.harness.terminal import run_on_terminal

LINE = {
    "time": "2026-03-09T12:00:01.234+00:00",
    "level": "warning",
    "logger": "oss_signer",
    "message": "reload rejected",
}


def shown(*lines: object, has_colors: bool = False) -> str:
    """Return what a terminal gets for lines of the log."""
    reader, writer = os.pipe()
    data = b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in lines)
    assert TerminalLines(writer, has_colors=has_colors).write(memoryview(data)) == len(data)
    os.close(writer)
    with os.fdopen(reader, "rb") as output:
        return output.read().decode()


def test_a_line_has_time_level_event_and_the_other_fields() -> None:
    text = shown({**LINE, "file": "a.yaml", "reason": "two words", "app": None, "mistakes": 3})
    time, rest = text.split(" ", 1)
    assert len(time.split(":")) == 3
    assert rest == 'WARNING  reload rejected  file=a.yaml reason="two words" mistakes=3\n'


def test_colors_are_of_the_level() -> None:
    assert "\x1b[33mWARNING \x1b[0m" in shown(LINE, has_colors=True)
    assert "\x1b" not in shown(LINE)


def test_what_is_no_line_of_the_log_stays_as_it_is() -> None:
    assert shown(b"Traceback (most recent call last):", b"[1]", b'{"a": 1}') == (
        'Traceback (most recent call last):\n[1]\n{"a": 1}\n'
    )


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\u202eb", "x\ny", "\x9b31m"])
def test_a_client_cannot_control_the_terminal(hostile: str) -> None:
    text = shown({**LINE, "path": hostile, "message": hostile})
    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()


def test_serve_on_a_terminal_ends_with_a_sentence(tmp_path: Path) -> None:
    status, output = run_on_terminal("serve", str(tmp_path / "none.yaml"))
    assert status == 1
    assert b"CRITICAL" in output and b'"message"' not in output
