"""Runs Prometheus and promtool of Debian's package `prometheus`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.harness.ports import reserve_port
from tests.harness.processes import ROOT, launch, run
from tests.harness.programs import require_program
from tests.harness.waiting import wait_until

MONITORING = ROOT / "monitoring"


async def promtool(*arguments: object, stdin: str = "") -> str:
    """Run promtool in monitoring/ and return its output; the test fails when it finds something wrong."""
    ended = await run(require_program("promtool"), *arguments, stdin=stdin, cwd=MONITORING)
    assert ended.status == 0, ended.out + ended.err
    return ended.out + ended.err


@dataclass
class Prometheus:
    """A running Prometheus."""

    url: str
    session: aiohttp.ClientSession

    async def get(self, path: str, **parameters: str) -> Any:
        """Call its API."""
        async with self.session.get(f"{self.url}/api/v1/{path}", params=parameters) as response:
            body = await response.json()
        assert body["status"] == "success", (parameters, body)
        return body["data"]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression."""
        found: list[dict[str, Any]] = (await self.get("query", query=expression))["result"]
        return found


@contextlib.asynccontextmanager
async def prometheus(session: aiohttp.ClientSession, config: Path) -> AsyncIterator[Prometheus]:
    """Run Prometheus with a configuration file."""
    port = reserve_port()
    command = (
        require_program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={config.with_suffix('.tsdb')}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    async with launch(*command) as process:
        running = Prometheus(f"http://127.0.0.1:{port}", session)

        async def is_ready() -> bool:
            assert process.returncode is None, "".join(process.errors)
            return await _is_ready(running)

        await wait_until(is_ready)
        yield running


async def _is_ready(running: Prometheus) -> bool:
    with contextlib.suppress(aiohttp.ClientError):
        async with running.session.get(f"{running.url}/-/ready") as response:
            return response.status == 200
    return False
