"""Runs the demo."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.harness.processes import Process, launch


@dataclass(frozen=True, slots=True)
class Demo:
    """The addresses of a running demo."""

    page: str
    oss: str
    status: str
    process: Process


@contextlib.asynccontextmanager
async def demo(*arguments: str) -> AsyncIterator[Demo]:
    """Run `python run.py demo` on free ports."""
    ports = ("--port", "0", "--admin-port", "0", "--oss-port", "0")
    async with launch(sys.executable, "run.py", "demo", *ports, *arguments) as process:
        page, oss, status = [(await process.read_line()).split()[-1] for _ in range(3)]
        yield Demo(page, oss.rstrip("/"), status, process)
