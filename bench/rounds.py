"""Servers that are asked one after the other and round and round, so that what the machine does hits all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.consumption import cpu_seconds, memory_mib
from bench.load import Load, Target, wrk
from bench.processes import CannotMeasure

CONNECTIONS = 16
WARM_UP_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Contender:
    pid: int
    target: Target
    meanwhile: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    """What else happens while it is asked."""


@dataclass(frozen=True, slots=True)
class Run:
    load: Load
    cpu_seconds: float
    memory_mib: float


Figures = dict[str, float]


def in_turn(contenders: Mapping[str, Contender], seconds: int, rounds: int) -> dict[str, list[Run]]:
    """The runs of each, after one to warm up. Raises `CannotMeasure` when a request fails."""
    for contender in contenders.values():
        run(contender, WARM_UP_SECONDS)
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for number in range(rounds):
        # Who goes first changes, so that what drifts hits all.
        for name in contenders if number % 2 == 0 else reversed([*contenders]):
            runs[name].append(run(contenders[name], seconds))
    return runs


def run(contender: Contender, seconds: int) -> Run:
    with contender.meanwhile():
        before = cpu_seconds(contender.pid)
        load = wrk(contender.target, seconds=seconds, connections=CONNECTIONS)
        used = cpu_seconds(contender.pid) - before
    if load.failed:
        raise CannotMeasure(f"{load.failed} of {load.requests} requests to {contender.target.url} failed")
    return Run(load, used, memory_mib(contender.pid))


def summary(runs: Sequence[Run]) -> Figures:
    """Medians."""
    return {
        "requests_per_second": median(each.load.requests_per_second for each in runs),
        "p50_milliseconds": median(each.load.p50 for each in runs),
        "p99_milliseconds": median(each.load.p99 for each in runs),
        "p99_9_milliseconds": median(each.load.p99_9 for each in runs),
        "cpu_microseconds": median(1e6 * each.cpu_seconds / each.load.requests for each in runs),
        "memory_mib": median(each.memory_mib for each in runs),
        "answer_bytes": median(each.load.answer_bytes for each in runs),
    }
