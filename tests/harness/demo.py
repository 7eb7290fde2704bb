"""Runs the demo."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.harness.processes import launch


@dataclass(frozen=True, slots=True)
class Demo:
    """The addresses of a running demo."""

    page: str
    oss: str


@contextlib.asynccontextmanager
async def demo(*arguments: str) -> AsyncIterator[Demo]:
    """Run `python run.py demo` on a free port."""
    async with launch(sys.executable, "run.py", "demo", "--port", "0", *arguments) as process:
        page, oss = [(await process.read_line()).split()[-1] for _ in range(2)]
        yield Demo(page, oss.rstrip("/"))
