"""Load on one address with wrk, and the latencies it saw."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from bench.processes import CannotMeasure

_PERCENTILE = re.compile(r"^ +([0-9.]+)% +([0-9.]+)(us|ms|s|m)$", re.MULTILINE)
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_RATE = re.compile(r"^Requests/sec: +([0-9.]+)$", re.MULTILINE)
_REFUSED = re.compile(r"^ +Non-2xx or 3xx responses: ([0-9]+)$", re.MULTILINE)
_BROKEN = re.compile(
    r"^ +Socket errors: connect ([0-9]+), read ([0-9]+), write ([0-9]+), timeout ([0-9]+)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw; percentiles in milliseconds, by their percentage."""

    requests_per_second: float
    milliseconds: dict[float, float]
    failed: int
    """Requests that got no 2xx or 3xx, and broken connections."""

    @property
    def p50(self) -> float:
        return self.milliseconds[50]

    @property
    def p99(self) -> float:
        return self.milliseconds[99]


def wrk_program() -> str:
    """Where it is. Raises `CannotMeasure` where it is not; ask before anything is started."""
    program = shutil.which("wrk")
    if program is None:
        raise CannotMeasure("wrk is not installed; on Debian and Ubuntu: apt-get install wrk")
    return program


def wrk(url: str, *, seconds: int, connections: int = 16, threads: int = 1, script: str | None = None) -> Load:
    """Asks as fast as the answers come. Raises `CannotMeasure` where wrk is missing or fails."""
    command = [wrk_program(), "--latency", f"-c{connections}", f"-t{threads}", f"-d{seconds}s", "--timeout", "30s"]
    result = subprocess.run(  # noqa: S603
        [*command, *(["-s", script] if script else []), url], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise CannotMeasure(f"wrk failed: {result.stderr or result.stdout}")
    return read(result.stdout)


def read(text: str) -> Load:
    """wrk's own report."""
    rate = _RATE.search(text)
    percentiles = {float(at): float(value) * _MILLISECONDS[unit] for at, value, unit in _PERCENTILE.findall(text)}
    if rate is None or 99 not in percentiles:
        raise CannotMeasure(f"wrk's report cannot be read:\n{text}")
    refused, broken = _REFUSED.search(text), _BROKEN.search(text)
    failed = int(refused[1]) if refused else 0
    failed += sum(int(count) for count in broken.groups()) if broken else 0
    return Load(float(rate[1]), percentiles, failed)
