"""The command line: one parser over all commands, and errors as exit statuses."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import signer.commands
from signer import cli
from signer.cli import main
from signer.commands import (
    check,
    completion,
    demo,
    doctor,
    domains,
    events,
    policies,
    pull,
    push,
    refresh,
    reload,
    schema,
    serve,
    sign,
)
from signer.delivery.queue import CannotOpenQueue
from signer.demo.local_cloud import CannotStart
from signer.environment import CannotReadEnvironment
from signer.live.admin_client import CannotCallSigner
from signer.server.sockets import CannotListen
from signer.stores.protocol import CannotRead, CannotWrite
from tests.harness.processes import run
from tools.json_schema import json_schema

COMMANDS = (
    serve,
    check,
    sign,
    reload,
    refresh,
    push,
    pull,
    domains,
    policies,
    events,
    schema,
    doctor,
    demo,
    completion,
)
VALID = """\
version: 1
credentials: {r: {type: static, access_key_id: x, access_key_secret: y}}
apps: {a: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "signer.yaml"
    path.write_text(VALID, encoding="utf-8")
    return path


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__.rpartition(".")[2])
def test_each_command_has_help(command: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    name = command.__name__.rpartition(".")[2]
    with pytest.raises(SystemExit) as exit_info:
        main([name, "--help"])
    assert exit_info.value.code == 0
    summary = (command.__doc__ or "").partition("\n")[0]
    assert summary.split()[0] in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"])
    assert name in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["check", "--unknown"], ["serve", "--worker", "x"]])
def test_unknown_arguments_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2


@pytest.mark.parametrize(
    "error",
    [CannotCallSigner, CannotListen, CannotOpenQueue, CannotRead, CannotReadEnvironment, CannotStart, CannotWrite],
)
def test_an_explained_error_is_printed_without_a_traceback(
    error: type[Exception], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_options: argparse.Namespace) -> int:
        raise error("what is wrong; how to fix it")

    monkeypatch.setattr(schema, "run", fail)
    assert main(["schema"]) == 1
    assert capsys.readouterr() == ("", "what is wrong; how to fix it\n")


def test_an_interrupt_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_options: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "run", interrupt)
    assert main(["schema"]) == 130


def test_schema_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == json_schema()


def test_check_prints_a_summary_and_warnings(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(config)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{config}: 1 app (0 disabled) on 1 role; ")
    assert "warning: " in printed.err


def test_check_prints_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "--config", str(config)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {name: document[name] for name in ("ok", "apps", "apps_switched_off", "roles", "errors")} == {
        "ok": True,
        "apps": 1,
        "apps_switched_off": 0,
        "roles": 1,
        "errors": [],
    }
    assert {"file", "line", "column", "end_column", "message", "source"} <= document["warnings"][0].keys()


def test_check_prints_mistakes_as_text_or_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(VALID.replace("bucket", "bukket"), encoding="utf-8")
    assert main(["check", "--config", str(config)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"{config}:3:" in printed.err and "error" in printed.err.splitlines()[-1]
    assert main(["check", "--json", "--config", str(config)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["errors"][0]["file"] == str(config)


def test_check_prints_json_for_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "--config", str(tmp_path / "none.yaml")]) == 1
    [error] = json.loads(capsys.readouterr().out)["errors"]
    assert error["line"] is None and "none.yaml" in error["message"]


def test_pull_prints_the_definitions(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "--config", str(config)]) == 0
    assert VALID in capsys.readouterr().out


def test_the_config_option_defaults_to_the_environment(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSS_SIGNER_CONFIG", str(config))
    assert main(["pull"]) == 0
    assert VALID in capsys.readouterr().out


@pytest.mark.parametrize("command", ["check", "pull"])
def test_the_definitions_may_be_an_argument(config: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(config)]) == 0
    assert capsys.readouterr().out.startswith(VALID if command == "pull" else f"{config}: 1 app ")


def test_sign_accepts_the_app_and_then_the_definitions(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign", "a", str(config)]) == 0
    assert re.fullmatch("[0-9a-f]{32}", json.loads(capsys.readouterr().out)["response"]["fields"]["key"])


def test_the_definitions_are_given_once(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sign", "--config", str(config), "a", "a.jpg"])
    assert "argument CONFIG: not allowed with argument --config" in capsys.readouterr().err


def test_unknown_arguments_are_answered_with_the_usage_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sign", "a", "--name", "photo.jpg"])
    usage = capsys.readouterr().err
    assert "usage: oss-signer sign " in usage and "[--filename FILENAME]" in usage
    assert "oss-signer sign: error: unrecognized arguments: --name" in usage


async def test_a_reader_that_has_read_enough_is_no_error(config: Path) -> None:
    ended = await run("sh", "-c", f"{sys.executable} run.py pull {config} | true")
    assert ended.err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_completion_prints_a_script_with_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command.__name__.rpartition(".")[2] in script for command in COMMANDS)
    if shell == "bash":
        checked = await run("bash", "-n", stdin=script)
        assert (checked.status, checked.err) == (0, "")


async def test_a_checkout_without_its_environment_names_the_command_to_use() -> None:
    """`-S` leaves out the installed packages."""
    ended = await run(sys.executable, "-S", "run.py", "check")
    assert ended.status == 1
    assert "is not installed" in ended.err and ".venv/bin/oss-signer" in ended.err
    assert "Traceback" not in ended.err


def test_the_module_list_is_complete() -> None:
    folder = Path(signer.commands.__file__).parent
    modules = {path.stem for path in folder.glob("*.py") if "def run(" in path.read_text(encoding="utf-8")}
    assert modules == {command.__name__.rpartition(".")[2] for command in COMMANDS}
    assert len(Path(cli.__file__).read_text(encoding="utf-8").splitlines()) < 100


async def test_reload_imports_only_the_standard_library(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['oss-signer', 'reload', '--runtime-dir', sys.argv[1]]\n"
        "from signer.__main__ import start\n"
        "before = start(); print(before, *sorted(name for name in sys.modules if name.startswith('signer')))\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'aiohttp', 'pydantic', 'yaml', 'uvloop'}))"
    )
    completed = await run(sys.executable, "-c", code, tmp_path)
    assert completed.out.splitlines() == [
        "1 signer signer.__main__ signer.commands signer.commands.reload signer.garbage_collection signer.server "
        "signer.server.reload_record signer.standard_streams",
        "",
    ]
    assert "no running signer found in" in completed.err


async def test_the_command_line_imports_no_sdk() -> None:
    code = "import sys, signer.cli; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    completed = await run(sys.executable, "-c", code)
    assert completed.status == 0, completed.err
    heavy = ("alibabacloud", "Tea", "oss2", "jwt", "localcloud", "redis")
    assert [name for name in completed.out.split() if name.startswith(heavy)] == []
