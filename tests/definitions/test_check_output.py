"""The output of `check`: carets, colors on a terminal only, JSON for programs."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from signer.cli import main
from tests.harness.terminal import run_on_terminal

HEAD = "version: 1\ncredentials: {r: {type: ecs_ram_role}}\napps:\n  a:\n    region: cn-hangzhou\n    credentials: r\n"


def columns(text: str) -> int:
    """Return how many columns the text takes on a terminal."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def check(text: str, directory: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    config = directory / "signer.yaml"
    config.write_text(text, encoding="utf-8")
    status = main(["check", "--config", str(config), *options])
    output = capsys.readouterr()
    return status, output.out, output.err


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("    bucket: Photos", "Photos"),
        ("    bucket: 'Photos' # 照片", "'Photos'"),
        ('    "bucket": Photos', "Photos"),
        ("    {0: 1}", "{0: 1}"),
        ("    bukket: photos", "bukket"),
        ("    name: 照片墙 # comment\n    bucket: 照片", "照片"),
        ("    bucket: e\u0301a", "e\u0301a"),
        ("    name: {照片墙: 上传}\n    bucket: photos", "{照片墙: 上传}"),
        ("    bucket: 照片-${UNSET_NAME}-x", "${UNSET_NAME}"),
        ("    headers: {照片: a, x-oss-object-acl: 公开}\n    bucket: photos", "公开"),
    ],
)
def test_the_caret_marks_the_value(line: str, marked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, output = check(HEAD + line + "\n", tmp_path, capsys)
    lines = output.splitlines()
    carets = [number for number, each in enumerate(lines) if set(each.strip()) <= set("|^~ ") and "^" in each]
    shown = {(lines[number - 1], lines[number]) for number in carets}
    under = []
    for source, caret in shown:
        start, width = caret.index("^"), caret.count("^") + caret.count("~")
        at = next(i for i in range(len(source) + 1) if columns(source[:i]) == start)
        under.append(next(source[at:end] for end in range(at, len(source) + 1) if columns(source[at:end]) == width))
    assert marked.rstrip() in [text + source_rest(text, marked) for text in under]


def source_rest(text: str, marked: str) -> str:
    """Return the combining marks that follow the text: they have no column, so the caret may end before them."""
    rest = marked[len(text) :]
    return rest if marked.startswith(text) and columns(rest) == 0 else ""


def test_tabs_and_invisible_characters_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, output = check(HEAD + "    bucket: photos\n\tname: x\n", tmp_path, capsys)
    assert "    8 | →   name: x\n      | ^~~~\n" in output
    _, _, output = check(HEAD + "    bucket: photos\n    name\u200b: \u202ex\n", tmp_path, capsys)
    assert "    8 |     name<U+200B>: <U+202E>x\n" in output
    assert "\u202e" not in output


def test_a_long_line_is_shortened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, output = check(f"version: 1 # {'x' * 100_000}\nname: 1\n", tmp_path, capsys)
    assert len(output) < 1000
    _, _, output = check("{version: 1, name: " + "x" * 100_000 + ", zzz: 1}\n", tmp_path, capsys)
    assert len(output) < 2000
    assert "zzz: 1}" in output


def test_json_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(tmp_path / "signer.yaml")
    status, out, err = check(HEAD + "    bucket: Photos\n    bukket: photos\n", tmp_path, capsys, "--json")
    report = json.loads(out)
    assert (status, err, report["ok"], report["warnings"]) == (1, "", False, [])
    assert [(each["file"], each["line"], each["column"], each["end_column"]) for each in report["errors"]] == [
        (config, 7, 13, 19),
        (config, 8, 5, 11),
    ]
    assert report["errors"][1]["source"] == "    bukket: photos"
    assert "did you mean bucket?" in report["errors"][1]["message"]
    status, out, err = check(HEAD + "    bucket: photos\n    key_prefix: ''\n", tmp_path, capsys, "--json")
    report = json.loads(out)
    assert (status, err, report["ok"], report["errors"], report["apps"], report["roles"]) == (0, "", True, [], 1, 1)
    assert (report["warnings"][0]["line"], report["warnings"][0]["column"]) == (4, 3)


@pytest.mark.parametrize("options", [["--config", "nowhere.yaml"], ["--config", "ftp://example.com/a"]])
def test_json_for_definitions_that_cannot_be_read(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", *options]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    assert report["errors"][0]["message"]


def on_a_terminal(arguments: list[str], **environ: str) -> bytes:
    """Return what a command writes to stderr when that is a terminal."""
    status, output = run_on_terminal(*arguments, **environ)
    assert status == 1
    return output


@pytest.mark.parametrize("command", ["check", "serve"])
def test_colors_on_a_terminal_unless_disabled(command: str, tmp_path: Path) -> None:
    config = tmp_path / "signer.yaml"
    config.write_text(HEAD + "    bucket: Photos\n", encoding="utf-8")
    arguments = [command, "--config", str(config)]
    colored = on_a_terminal(arguments)
    assert b"\x1b[1m" in colored
    assert b"\x1b[1;32m^~~~~~\x1b[0m" in colored
    plain = on_a_terminal(arguments, NO_COLOR="1")
    assert b"\x1b" not in plain
    assert b"^~~~~~" in plain
    assert b"\x1b" not in on_a_terminal(arguments, TERM="dumb")


def test_many_warnings_are_shortened_for_people_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "version: 1\ncredentials: {r: {type: ecs_ram_role}}\ndefaults: {region: ap-southeast-1, credentials: r}\napps:\n"
    text += "".join(f"  a{n}: {{key_prefix: p/, bucket: b{n:03}}}\n" for n in range(120))
    status, out, err = check(text, tmp_path, capsys)
    assert (status, err.count("warning: apps."), "and 71 more warnings" in err) == (0, 50, True)
    assert "121 warnings" in out
    _, out, _ = check(text, tmp_path, capsys, "--json")
    assert len(json.loads(out)["warnings"]) == 121
