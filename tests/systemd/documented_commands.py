"""Runs the commands of docs/deploying.md on a machine with an installed signer."""

from __future__ import annotations

import json
import re
import shlex

from tests.harness.processes import ROOT
from tests.systemd.machine import Machine, python_below_a_home


def commands_of_the_service() -> tuple[str, str, str]:
    """Return the shell function that runs a command as the service, and the two commands that the document runs so."""
    text = (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    function = re.search(r"^as_signer\(\) \{\n.*?^\}\n", text, re.MULTILINE | re.DOTALL)
    assert function is not None
    check, doctor = re.findall(r"^as_signer .* --config .*$", text, re.MULTILINE)
    return function[0], check, doctor


async def run_as_service(machine: Machine, command: str, *, succeeds: bool = True) -> str:
    """Run a command with the documented function, and return its output."""
    function, _, _ = commands_of_the_service()
    for setting in python_below_a_home().split():
        function = function.replace('"$@"', f'-p {setting} "$@"')
    return await machine.run("sh", "-c", f"{function}{command}", succeeds=succeeds)


async def check_as_service(machine: Machine, oss: str) -> None:
    """Run `check` and `doctor` as documented, and `check` in a shell, which has no secrets of the service."""
    _, check, doctor = commands_of_the_service()
    assert "11 apps (0 disabled) on 2 roles" in await run_as_service(machine, check)
    in_a_shell = await machine.run(*shlex.split(check)[1:], succeeds=False)
    assert "$CREDENTIALS_DIRECTORY is not set: systemd sets it for a service" in in_a_shell
    assert "docs/deploying.md" in in_a_shell
    arguments = f"--json --app partner-app --oss-endpoint {oss}"
    report = json.loads(await run_as_service(machine, f"{doctor} {arguments}", succeeds=False))
    failed = [(each["step"], each["what"]) for each in report["findings"] if each["verdict"] == "failed"]
    assert failed == [("bucket", "there is no such bucket")], report
    assert {"definitions", "files", "listen", "credential"} <= {each["step"] for each in report["findings"]}
