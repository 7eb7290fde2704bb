"""The output of `check`, word for word: each file or directory has its expected stderr in a file `.expected`.

`invalid/` contains definitions that are rejected, `warned/` those that are accepted with warnings. After a change of
texts, `UPDATE_EXPECTED=1 python -m pytest tests/definitions/test_messages.py` writes the files: read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signer.cli import main

HERE = Path(__file__).parent


def cases(folder: str) -> list[Path]:
    """Return the files and directories with definitions."""
    return sorted(path for path in (HERE / folder).iterdir() if path.suffix != ".expected")


def compare(case: Path, output: str) -> None:
    expected = case.with_suffix(".expected")
    if os.environ.get("UPDATE_EXPECTED") == "1":
        expected.write_text(output, encoding="utf-8")
    assert output == expected.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("OSS_", "ALIBABA_CLOUD_"))]:
        monkeypatch.delenv(name)
    for name in ("ADMIN_TOKEN", "SIGNER_SECRET"):
        monkeypatch.setenv(name, "what-the-examples-refer-to-in-full")


@pytest.mark.parametrize("case", cases("invalid"), ids=lambda case: case.name)
def test_the_report_of_each_mistake(
    case: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case.parent)
    status = main(["check", "--config", case.name])
    output = capsys.readouterr()
    assert (status, output.out) == (1, "")
    compare(case, output.err)


@pytest.mark.parametrize("case", cases("warned"), ids=lambda case: case.name)
def test_the_report_of_each_warning(
    case: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case.parent)
    status = main(["check", "--config", case.name])
    output = capsys.readouterr()
    assert (status, output.out.count("\n")) == (0, 1)
    compare(case, output.err)


def test_every_case_has_its_report() -> None:
    for folder, minimum in (("invalid", 60), ("warned", 12)):
        found = {case.with_suffix("").name for case in cases(folder)}
        assert len(found) >= minimum
        assert {path.stem for path in (HERE / folder).glob("*.expected")} == found
