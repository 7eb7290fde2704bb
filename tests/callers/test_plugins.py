"""Types of callers from other packages: the documented example, installed and used."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.harness.processes import ROOT, run
from tests.harness.signer import run_command

USE = """
import asyncio, json, sys
from multidict import CIMultiDict
from signer.plugins import CALLERS, PluginError, load_plugin, plugin_names
from signer.request_context import RequestContext
from signer.errors import Problem

def outcome(check, *headers):
    context = RequestContext(CIMultiDict(headers))
    try:
        return [check.has_credential(context), asyncio.run(check.identify(context)).id]
    except Problem as problem:
        return [check.has_credential(context), problem.code]

def loaded(kind):
    try:
        return load_plugin(CALLERS, kind)
    except PluginError as error:
        return str(error)
"""


def example(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "docs/callers.md").read_text("utf-8"), re.M | re.S)
    assert len(found) == 1
    return str(found[0])


def install(directory: Path, name: str, entry_points: dict[str, str]) -> None:
    """Write the metadata that pip writes for a package."""
    information = directory / f"{name.replace('-', '_')}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = [f"{kind} = {value}" for kind, value in entry_points.items()]
    text = "\n".join(["[oss_signer.callers]", *lines, ""])
    (information / "entry_points.txt").write_text(text, encoding="utf-8")


async def result_of(installed: Path, code: str) -> Any:
    """Run code in a process with the packages and return its variable `result`."""
    environ = {"PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}
    ended = await run(sys.executable, "-c", f"{USE}{code}\nprint(json.dumps(result))", environ=environ)
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


async def test_the_documented_example_works(tmp_path: Path) -> None:
    project = tomllib.loads(example("toml"))["project"]
    [(kind, value)] = project["entry-points"]["oss_signer.callers"].items()
    (tmp_path / f"{value.partition(':')[0]}.py").write_text(example("python"), encoding="utf-8")
    install(tmp_path, project["name"], {kind: value})
    found = await result_of(
        tmp_path,
        f"""
check = load_plugin(CALLERS, "{kind}")({{"type": "{kind}", "header": "X-SSL-Client-CN"}}, "photos")
try:
    load_plugin(CALLERS, "{kind}")({{"type": "{kind}", "heder": "X"}}, "photos")
except ValueError as error:
    mistake = str(error)
result = [
    "{kind}" in plugin_names(CALLERS),
    outcome(check, ("x-ssl-client-cn", "anna")),
    outcome(check),
    outcome(check, ("X-SSL-Client-CN", "anna"), ("X-SSL-Client-CN", "bert")),
    outcome(check, ("X-SSL-Client-CN", "a" * 200)),
    mistake,
]
""",
    )
    assert found == [
        True,
        [True, "anna"],
        [False, "unauthenticated"],
        [True, "invalid_request"],
        [True, "invalid_request"],
        "client_cert has the key header only, not heder",
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("unknown", "no installed package provides 'unknown' (oss_signer.callers)"),
        (
            "missing",
            "'missing' (oss_signer.callers) cannot be loaded: ModuleNotFoundError: No module named 'not_there'",
        ),
        ("broken", "'broken' (oss_signer.callers) cannot be loaded: ZeroDivisionError: division by zero"),
        ("nothing", "'nothing' (oss_signer.callers) cannot be loaded: AttributeError"),
        ("text", "'text' (oss_signer.callers) cannot be loaded: other:TEXT is not callable"),
        ("twice", "several installed packages provide 'twice' (oss_signer.callers); remove all but one"),
    ],
)
async def test_a_type_that_cannot_be_loaded_is_explained(kind: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("TEXT = 'x'\ndef one(entry, app_id): ...\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    offered = {"missing": "not_there:A", "broken": "broken:A", "nothing": "other:nothing", "text": "other:TEXT"}
    install(tmp_path, "first", {**offered, "twice": "other:one"})
    install(tmp_path, "second", {"twice": "other:TEXT"})
    assert expected in (await result_of(tmp_path, f"result = loaded('{kind}')"))


async def test_a_package_that_is_found_twice_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("def one(entry, app_id): ...\n", encoding="utf-8")
    for name in ("first", "second"):
        install(tmp_path, name, {"twice": "other:one"})
    assert (await result_of(tmp_path, "result = [callable(loaded('twice')), plugin_names(CALLERS)]"))[0] is True


async def test_check_reports_errors_of_the_entry(tmp_path: Path) -> None:
    project = tomllib.loads(example("toml"))["project"]
    [(kind, value)] = project["entry-points"]["oss_signer.callers"].items()
    (tmp_path / f"{value.partition(':')[0]}.py").write_text(example("python"), encoding="utf-8")
    install(tmp_path, project["name"], {kind: value})
    config = tmp_path / "signer.yaml"
    text = (
        "version: 1\ncredentials: {r: {type: ecs_ram_role}}\n"
        "defaults: {region: ap-southeast-1, credentials: r, key_prefix: '{caller}/', generate_signature: false}\n"
        "apps: {a: {bucket: photos, CALLERS}}\n"
    )
    environ = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    for entry, status, expected in (
        ("header: X-SSL-Client-CN", 0, "no errors or warnings"),
        ("heder: X", 1, "has the key header only, not heder"),
    ):
        config.write_text(text.replace("CALLERS", f"callers: {{type: {kind}, {entry}}}"), encoding="utf-8")
        result = await run_command("check", "--config", config, environ=environ)
        assert (result.status, expected in result.out + result.err) == (status, True), result.err
