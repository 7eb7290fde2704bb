"""What `check` says, word for word: beside each broken file or directory stands what goes to stderr.

`invalid/` holds what is refused, `warned/` what is accepted with warnings. After a change of words,
`UPDATE_EXPECTED=1 python -m pytest tests/definitions/test_messages.py` writes them anew: read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signer.cli import main

HERE = Path(__file__).parent


def cases(folder: str) -> list[Path]:
    """Files and directories with definitions."""
    return sorted(path for path in (HERE / folder).iterdir() if path.suffix != ".expected")


def compare(case: Path, said: str) -> None:
    expected = case.with_suffix(".expected")
    if os.environ.get("UPDATE_EXPECTED") == "1":
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("OSS_", "ALIBABA_CLOUD_"))]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("case", cases("invalid"), ids=lambda case: case.name)
def test_each_mistake_is_told_in_exactly_these_words(
    case: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case.parent)
    status = main(["check", "--config", case.name])
    said = capsys.readouterr()
    assert (status, said.out) == (1, "")
    compare(case, said.err)


@pytest.mark.parametrize("case", cases("warned"), ids=lambda case: case.name)
def test_each_warning_is_told_in_exactly_these_words(
    case: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case.parent)
    status = main(["check", "--config", case.name])
    said = capsys.readouterr()
    assert (status, said.out.count("\n")) == (0, 1)
    compare(case, said.err)


def test_there_are_enough_of_them_and_each_has_its_words() -> None:
    for folder, least in (("invalid", 60), ("warned", 12)):
        found = {case.with_suffix("").name for case in cases(folder)}
        assert len(found) >= least
        assert {path.stem for path in (HERE / folder).glob("*.expected")} == found
