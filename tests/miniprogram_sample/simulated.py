"""Runs mini-programs in the simulator, with Node.js."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.harness.processes import ROOT, Process, launch

HERE = Path(__file__).parent
SAMPLE = ROOT / "miniprogram" / "sample"


def project(directory: Path, config: dict[str, Any], source: Path = SAMPLE) -> Path:
    """Copy a project, with these settings."""
    copy = directory / "project"
    shutil.copytree(source, copy)
    (copy / "config.js").write_text(f"module.exports = {json.dumps(config)}\n", encoding="utf-8")
    return copy


@contextlib.asynccontextmanager
async def node(script: str, parameters: dict[str, Any]) -> AsyncIterator[Process]:
    """Run a script, which reads and writes lines, until the end of the block; it has to succeed and end by itself."""
    async with launch("node", HERE / script, json.dumps(parameters)) as process:
        yield process
        process.close_input()
        status = await process.wait()
        assert (status, process.errors) == (0, []), "".join(process.errors)


async def next_report(process: Process) -> Any:
    """Return the next line that the script writes, which is JSON."""
    return json.loads(await process.read_line())
