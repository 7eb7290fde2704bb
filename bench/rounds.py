"""Measures several servers in turn, so that a disturbance of the machine affects all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.errors import CannotMeasure
from bench.process_usage import cpu_seconds, memory_mib
from bench.processes import LOAD_CORE
from bench.wrk import Load, Target, wrk

CONNECTIONS = 16
WARM_UP_SECONDS = 1

Figures = dict[str, float]
Rows = dict[str, Figures]


@dataclass(frozen=True, slots=True)
class Contender:
    """A server and the request that it is measured with."""

    pids: Sequence[int]
    target: Target
    during: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    """What else happens during a run."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of one contender used."""

    load: Load
    cpu_seconds: float
    memory_mib: float


def in_turn(
    contenders: Mapping[str, Contender],
    seconds: int,
    rounds: int,
    *,
    connections: int = CONNECTIONS,
    wrk_core: int = LOAD_CORE,
) -> dict[str, list[Run]]:
    """Return the runs of each contender, after one run to warm up.

    Raises:
        CannotMeasure: A request failed.
    """

    def run(contender: Contender, seconds: int) -> Run:
        with contender.during():
            before = sum(map(cpu_seconds, contender.pids))
            load = wrk(contender.target, seconds=seconds, connections=connections, core=wrk_core)
            used = sum(map(cpu_seconds, contender.pids)) - before
        if load.failed:
            raise CannotMeasure(f"{load.failed} of {load.requests} requests to {contender.target.url} failed")
        return Run(load, used, sum(map(memory_mib, contender.pids)))

    for contender in contenders.values():
        run(contender, WARM_UP_SECONDS)
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for number in range(rounds):
        # The order alternates, so that a drift of the machine affects all.
        for name in contenders if number % 2 == 0 else reversed([*contenders]):
            runs[name].append(run(contenders[name], seconds))
    return runs


def medians(runs: Sequence[Run]) -> Figures:
    """Return the medians of the runs of one contender."""
    return {
        "requests_per_second": median(run.load.requests_per_second for run in runs),
        "p50_milliseconds": median(run.load.milliseconds[50] for run in runs),
        "p99_milliseconds": median(run.load.milliseconds[99] for run in runs),
        "p99_9_milliseconds": median(run.load.milliseconds[99.9] for run in runs),
        "cpu_microseconds": median(1e6 * run.cpu_seconds / run.load.requests for run in runs),
        "wrk_cpu_microseconds": median(1e6 * run.load.cpu_seconds / run.load.requests for run in runs),
        "memory_mib": median(run.memory_mib for run in runs),
        "response_bytes": median(run.load.response_bytes for run in runs),
    }
