"""Invisible characters at the ends of secrets and files are ignored, and `check` warns of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from signer.cli import main
from signer.definitions.parser import parse
from signer.environment import Environment

TEXT = """
version: 1
credentials: {r: {type: ecs_ram_role}}
defaults: {bucket: photos, region: cn-hangzhou, credentials: r}
apps: {a: {key_prefix: p/, callers: {type: wechat, secret: "%s"}}}
"""
BOM, ZERO_WIDTH_SPACE = "\ufeff", "\u200b"


def secret_of(text: str, environ: dict[str, str]) -> str:
    callers: Any = parse({"a.yaml": text}, environ).apps["a"].callers[0]
    return str(callers.secret.get_secret_value())


@pytest.mark.parametrize("odd", [f"{BOM}abc", f"abc{ZERO_WIDTH_SPACE}", f"{BOM}abc{BOM}"])
def test_a_secret_has_no_invisible_ends_whatever_its_source(odd: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{odd}\n", encoding="utf-8")
    for written in (odd, "${WX}", f"${{file:{file}}}"):
        assert secret_of(TEXT % written, {"WX": odd}) == "abc"


def test_check_names_the_value_and_the_character(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WX", f"abc{ZERO_WIDTH_SPACE}")
    (tmp_path / "a.yaml").write_text(TEXT % "${WX}", encoding="utf-8")
    assert main(["check", str(tmp_path / "a.yaml")]) == 0
    warning = "apps.a.callers.secret: the invisible character U+200B at the start or end is ignored; delete it"
    assert warning in capsys.readouterr().err


def test_files_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    for name, text in (("environment", "WX=abc\n"), ("a.yaml", TEXT % "${WX}")):
        (tmp_path / name).write_text(BOM + text, encoding="utf-8")
    environ = Environment({}, tmp_path / "environment").read()
    assert secret_of((tmp_path / "a.yaml").read_text("utf-8-sig"), dict(environ)) == "abc"


def test_a_directory_may_have_yml_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yml").write_text(TEXT % "abc", encoding="utf-8")
    assert main(["check", str(tmp_path)]) == 0
    assert ": 1 app " in capsys.readouterr().out
