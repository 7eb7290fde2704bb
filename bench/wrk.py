"""Loads one address with wrk and reads its report.

wrk sends the next request on a connection as soon as it has the response (a closed loop), so its latencies are those of
a server that always has as many requests as there are connections.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import CannotMeasure
from bench.processes import LOAD_CORE, on_core

_SCRIPT = Path(__file__).with_name("wrk.lua")

NUMBER = "%7Bnumber%7D"
"""A placeholder in an address."""


@dataclass(frozen=True, slots=True)
class Target:
    """The request that is repeated."""

    url: str
    """`NUMBER` in it is replaced by each number below `count` in turn, with 16 digits."""
    method: str = "GET"
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    count: int = 1


@dataclass(frozen=True, slots=True)
class Load:
    """The report of one run of wrk."""

    requests: int
    seconds: float
    response_bytes: float
    """Of one response, with its headers."""
    milliseconds: dict[float, float]
    """Latency by percentile."""
    cpu_seconds: float
    """CPU time of wrk itself."""
    failed: int
    """Requests without a 2xx or 3xx, and broken connections."""

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds


def check_wrk() -> None:
    """Check that wrk is installed; call it before anything is started.

    Raises:
        CannotMeasure: It is not.
    """
    if shutil.which("wrk") is None:
        raise CannotMeasure("wrk is not installed; on Debian and Ubuntu: apt-get install wrk")


def wrk(
    target: Target,
    *,
    seconds: int,
    connections: int = 16,
    core: int | None = LOAD_CORE,
    pause_milliseconds: int = 0,
) -> Load:
    """Load the target and return the report.

    Args:
        target: The request.
        seconds: How long.
        connections: The number of connections.
        core: The core of wrk; None for any.
        pause_milliseconds: How long each connection waits before its next request.

    Raises:
        CannotMeasure: wrk failed or got no response.
    """
    headers = [f"-H{name}: {value}" for name, value in target.headers.items()]
    command = ["wrk", f"-c{connections}", "-t1", f"-d{seconds}s", "--timeout", "30s", "-s", str(_SCRIPT), *headers]
    command += [target.url, "--", target.method, target.body or "", str(target.count), str(pause_milliseconds)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(on_core(core, command), capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode != 0:
        raise CannotMeasure(f"wrk failed: {result.stderr or result.stdout}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return _parse(result.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _parse(text: str, cpu_seconds: float) -> Load:
    try:
        report = json.loads(text.splitlines()[-1])
    except (ValueError, IndexError):
        raise CannotMeasure(f"wrk's report cannot be parsed:\n{text}") from None
    if not report["requests"]:
        raise CannotMeasure("wrk got no response")
    return Load(
        requests=report["requests"],
        seconds=report["microseconds"] / 1e6,
        response_bytes=report["bytes"] / report["requests"],
        milliseconds={float(at): value / 1000 for at, value in report["latency_microseconds"].items()},
        cpu_seconds=cpu_seconds,
        failed=report["refused"] + report["broken"],
    )
