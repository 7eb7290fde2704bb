"""Load on one address with wrk, and what it saw.

wrk asks again on each connection as soon as it has its answer (a closed loop), so its latencies are those of a server
that has `connections` requests before it all the time.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import LOAD_CORE, CannotMeasure, on_core

_SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked, again and again."""

    url: str
    """With `NUMBER` in it each number below `count` is asked in turn, written with 16 digits."""
    method: str = "GET"
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    count: int = 1


NUMBER = "%7Bnumber%7D"


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw; percentiles in milliseconds, by their percentage."""

    requests: int
    seconds: float
    answer_bytes: float
    """Of each answer, head and body."""
    milliseconds: dict[float, float]
    cpu_seconds: float
    """wrk's own."""
    failed: int
    """Requests that got no 2xx or 3xx, and broken connections."""

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def p50(self) -> float:
        return self.milliseconds[50]

    @property
    def p99(self) -> float:
        return self.milliseconds[99]

    @property
    def p99_9(self) -> float:
        return self.milliseconds[99.9]


def wrk_program() -> str:
    """Where it is. Raises `CannotMeasure` where it is not; ask before anything is started."""
    program = shutil.which("wrk")
    if program is None:
        raise CannotMeasure("wrk is not installed; on Debian and Ubuntu: apt-get install wrk")
    return program


def wrk(
    target: Target,
    *,
    seconds: int,
    connections: int = 16,
    core: int | None = LOAD_CORE,
    pause_milliseconds: int = 0,
) -> Load:
    """Asks as fast as the answers come, or with a pause before each, from the load's core or another.

    Raises `CannotMeasure` where wrk is missing or fails.
    """
    headers = [f"-H{name}: {value}" for name, value in target.headers.items()]
    command = [wrk_program(), f"-c{connections}", "-t1", f"-d{seconds}s", "--timeout", "30s"]
    command += ["-s", str(_SCRIPT), *headers, target.url, "--", target.method, target.body or "", str(target.count)]
    command.append(str(pause_milliseconds))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(on_core(core, command), capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode != 0:
        raise CannotMeasure(f"wrk failed: {result.stderr or result.stdout}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return _read(result.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _read(text: str, cpu_seconds: float) -> Load:
    try:
        told = json.loads(text.splitlines()[-1])
    except (ValueError, IndexError):
        raise CannotMeasure(f"wrk's report cannot be read:\n{text}") from None
    if not told["requests"]:
        raise CannotMeasure("wrk got no answer at all")
    return Load(
        requests=told["requests"],
        seconds=told["microseconds"] / 1e6,
        answer_bytes=told["bytes"] / told["requests"],
        milliseconds={float(at): value / 1000 for at, value in told["latency_microseconds"].items()},
        cpu_seconds=cpu_seconds,
        failed=told["refused"] + told["broken"],
    )
