"""The audit log keeps every line, also while logrotate runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from signer.telemetry.audit import STDOUT, AuditLog
from tests.harness.waiting import wait_until


async def test_a_rotation_loses_no_line(tmp_path: Path) -> None:
    """The file is renamed again and again while lines are added, as logrotate does without copytruncate."""
    path = tmp_path / "audit.log"
    audit = AuditLog(str(path))
    total = 2000
    for number in range(total):
        audit.add("signature", {"number": number, "key": "照片/ü.jpg"})
        if number % 400 == 399:
            await wait_until(path.exists)
            path.rename(tmp_path / f"audit.log.{number}")
    await audit.close()
    lines = [json.loads(line) for file in tmp_path.iterdir() for line in file.read_text(encoding="utf-8").splitlines()]
    assert sorted(line["number"] for line in lines) == list(range(total))
    assert {line["key"] for line in lines} == {"照片/ü.jpg"}
    assert all(line["event"] == "signature" and line["time"] for line in lines)
    assert all(file.stat().st_mode & 0o007 == 0 for file in tmp_path.iterdir()), "not readable by others"


async def test_stdout_as_target(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    audit = AuditLog(STDOUT)
    audit.add("signature", {"app": "a"})
    audit.add("callback", {"key": "half a character: \ud83d"})
    await audit.close()
    lines = capfdbinary.readouterr().out.splitlines()
    assert json.loads(lines[0])["app"] == "a"
    assert json.loads(lines[1])["key"].endswith("\ud83d")


async def test_a_closed_stdout_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Another file may have its descriptor, and must not receive the lines."""
    monkeypatch.setattr("sys.__stdout__", None)
    audit = AuditLog(STDOUT)
    audit.add("signature", {"app": "a"})
    await audit.close()
    assert reason(caplog) == "stdout is closed; open it, or set audit to a path"
    assert audit.lines.lost_lines == 1


async def test_a_file_that_cannot_be_written_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    audit = AuditLog(path := str(tmp_path / "missing" / "audit.log"))
    audit.add("signature", {})
    await audit.close()
    assert reason(caplog) == f"{path}: No such file or directory"
    assert audit.lines.lost_lines == 1


async def test_a_file_that_can_be_written_later_receives_all_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "late" / "audit.log"
    audit = AuditLog(str(path))
    audit.add("signature", {"number": 1})
    await wait_until(lambda: "lines not written" in caplog.text)
    path.parent.mkdir()
    audit.add("signature", {"number": 2})
    await audit.close()
    assert [json.loads(line)["number"] for line in path.read_text(encoding="utf-8").splitlines()] == [1, 2]


def reason(caplog: pytest.LogCaptureFixture) -> object:
    [record] = [record for record in caplog.records if record.message == "lines not written"]
    return vars(record)["reason"]
