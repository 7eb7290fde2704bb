"""The table of tested clients in docs/uploaders.md: `UPDATE_EXPECTED=1 pytest tests/uploaders` writes what has passed."""

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
_ROWS = re.compile(r"(?<=^<!-- tested -->\n)(.*?)(?=^<!-- end of tested -->$)", re.MULTILINE | re.DOTALL)


def rows(page: Path = PAGE) -> dict[str, tuple[str, ...]]:
    """Return version and results by client, as the page has them."""
    [table] = _ROWS.findall(page.read_text("utf-8"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {name: tuple(rest) for name, *rest in cells}


def passed(client: str, version: str, *checks: str) -> None:
    """Compare with the page that a client passes these checks, or write it."""
    if os.environ.get("UPDATE_EXPECTED") != "1":
        found = rows().get(client, ("",))
        assert all(found[1 + CHECKS.index(check)] == PASSED for check in checks), f"{client}: {checks}; see table.py"
        return
    for page in (PAGE, CHINESE_PAGE):
        if page.exists():
            _write(page, client, version, checks)


def _write(page: Path, client: str, version: str, checks: tuple[str, ...]) -> None:
    with page.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # test files run side by side
        text = file.read()
        found = rows(page)
        results = list(found.get(client, ("", *[""] * len(CHECKS)))[1:])
        for check in checks:
            results[CHECKS.index(check)] = PASSED
        found[client] = (version, *results)
        [old] = _ROWS.findall(text)
        lines = old.splitlines()[:2] + [
            f"| {' | '.join((name, *found[name]))} |" for name in sorted(found, key=str.lower)
        ]
        file.seek(0)
        file.truncate()
        file.write(text.replace(old, "\n".join(lines) + "\n"))


def npm_version(package: str, directory: Path = ROOT / "tests/uploaders") -> str:
    """Return the version in the lock file of a directory."""
    lock = json.loads((directory / "package-lock.json").read_text("utf-8"))
    return str(lock["packages"][f"node_modules/{package}"]["version"])


def pip_version(package: str) -> str:
    """Return the version in the requirements of the tests."""
    text = "".join((ROOT / name).read_text("utf-8") for name in ("requirements.txt", "requirements-dev.txt"))
    [version] = re.findall(rf"^{re.escape(package)}==(\S+)$", text, re.MULTILINE)
    return str(version)
