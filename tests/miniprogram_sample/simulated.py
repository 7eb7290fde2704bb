"""Mini-programs in the simulator: a copy of the project with its settings, run by Node.js; it talks in JSON."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SAMPLE = ROOT / "miniprogram" / "sample"
HANG_SECONDS = 90.0


def missing(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def install() -> None:
    """The page framework, from the lock file."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("node and npm are not installed")
    lock, installed = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # test files run side by side
        if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
            return
        command = ["npm", "ci", "--no-audit", "--no-fund"]
        result = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=300, check=False)
        if result.returncode != 0:
            missing(f"npm cannot install the page framework: {result.stderr}")


def project(directory: Path, config: dict[str, Any], source: Path = SAMPLE) -> Path:
    """A copy of the project with these settings."""
    copy = directory / "project"
    shutil.copytree(source, copy)
    (copy / "config.js").write_text(f"module.exports = {json.dumps(config)}\n", encoding="utf-8")
    return copy


class Run:
    """A script in Node.js. Its lines on stdout are JSON, and it gets lines on stdin."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def hears(self) -> Any:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            raise AssertionError((await self._process.stderr.read()).decode())
        return json.loads(line)

    def tell(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n".encode())


@contextlib.asynccontextmanager
async def node(script: str, given: dict[str, Any]) -> AsyncIterator[Run]:
    """Runs the script until the block's end; it must end well by itself."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(HERE / script),
        json.dumps(given),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        async with asyncio.timeout(HANG_SECONDS):
            yield Run(process)
            assert process.stdin is not None and process.stderr is not None
            process.stdin.close()
            complaints = (await process.stderr.read()).decode()
            assert await process.wait() == 0 and not complaints, complaints
    finally:
        if process.returncode is None:
            process.kill()
            _, said = await process.communicate()
            print(said.decode(), file=sys.stderr)
