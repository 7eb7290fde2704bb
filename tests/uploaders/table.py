"""The tables of docs/uploaders.md: `UPDATE_EXPECTED=1 pytest tests/uploaders` writes what has passed."""

from __future__ import annotations

import fcntl
import json
import os
import re
from pathlib import Path

from tests.harness.processes import ROOT
from tests.uploaders.recipes import CHINESE_PAGE, PAGE

CHECKS = ("1 file", "20 files", "progress", "cancel", "refusal", "Unicode names")
PASSED = "✓"
CLIENTS, SDKS = "clients", "SDKs"
"""The names of the tables."""


def _table(text: str, name: str) -> str:
    [table] = re.findall(rf"(?<=^<!-- {name} -->\n)(.*?)(?=^<!-- end of {name} -->$)", text, re.MULTILINE | re.DOTALL)
    return str(table)


def rows(name: str = CLIENTS, page: Path = PAGE) -> dict[str, tuple[str, ...]]:
    """Return the further cells of each row of a table, by the first cell."""
    table = _table(page.read_text("utf-8"), name).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {first: tuple(rest) for first, *rest in cells}


def passed(client: str, version: str, *checks: str) -> None:
    """Compare with the page that a client passes these checks, or write it."""
    if not is_updating():
        found = rows().get(client, ("",))
        assert all(found[1 + CHECKS.index(check)] == PASSED for check in checks), f"{client}: {checks}; see table.py"
        return
    for page in (PAGE, CHINESE_PAGE):
        results = list(rows(CLIENTS, page).get(client, ("", *[""] * len(CHECKS)))[1:])
        for check in checks:
            results[CHECKS.index(check)] = PASSED
        write_row(CLIENTS, page, client, (version, *results))


def is_updating() -> bool:
    """Return whether the tests write what they compare with."""
    return os.environ.get("UPDATE_EXPECTED") == "1"


def write_row(name: str, page: Path, first: str, rest: tuple[str, ...]) -> None:
    """Add or replace a row of a table. The rows are sorted by their first cell."""
    with page.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # test files run side by side
        text = file.read()
        old = _table(text, name)
        found = {**rows(name, page), first: rest}
        lines = [f"| {' | '.join((each, *found[each]))} |" for each in sorted(found, key=str.lower)]
        file.seek(0)
        file.truncate()
        file.write(text.replace(old, "\n".join([*old.splitlines()[:2], *lines]) + "\n"))


def npm_version(package: str, directory: Path = ROOT / "tests/uploaders") -> str:
    """Return the version in the lock file of a directory."""
    lock = json.loads((directory / "package-lock.json").read_text("utf-8"))
    return str(lock["packages"][f"node_modules/{package}"]["version"])


def pip_version(package: str, *files: str) -> str:
    """Return the version in requirements, by default those of the tests."""
    names = files or ("requirements.txt", "requirements-dev.txt")
    text = "".join((ROOT / name).read_text("utf-8") for name in names)
    [version] = re.findall(rf"^{re.escape(package)}==(\S+)$", text, re.MULTILINE)
    return str(version)
