"""Installs Node.js packages."""

from __future__ import annotations

import fcntl
from pathlib import Path

from tests.harness.processes import run
from tests.harness.programs import require_program, unavailable


async def install_packages(directory: Path) -> None:
    """Install what package-lock.json in this directory names, unless it is installed."""
    require_program("node")
    npm = require_program("npm")
    lock, installed = directory / "package-lock.json", directory / "node_modules" / ".package-lock.json"
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # test files run side by side
        if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
            return
        completed = await run(npm, "ci", "--no-audit", "--no-fund", cwd=directory)
        if completed.status != 0:
            unavailable(f"npm cannot install the packages of {directory.name}: {completed.err}")
