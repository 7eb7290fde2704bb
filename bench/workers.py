"""Are two workers twice one? `python -m bench.workers`

Workers share one listening socket, as systemd hands it to them, and have a core each. wrk needs a core too, and on a
machine with two it has the second worker's: it takes away what it is to measure. So each worker gets only a part of its
core, where the system can see to that, and wrk finds room beside it; what they do with whole cores is told besides.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench import definitions
from bench.bounds import Bound, verdicts
from bench.consumption import cpu_seconds
from bench.contenders import open_target
from bench.load import Load, Target, wrk
from bench.part import Rows, run_part
from bench.processes import LOAD_CORE, local_cloud, signer
from bench.quota import held_to
from bench.rounds import WARM_UP_SECONDS
from bench.table import table

CONNECTIONS = 64
"""More than elsewhere, so that the system's share-out of connections among the workers does not count for much."""
PART = 0.4
"""Of a core: beside two workers on two cores that leaves wrk more than it takes."""
_WHOLE = ("1", "2")
_PARTS = (f"1, {PART:g} of a core", f"2, {PART:g} of a core each")


def _gain(of: Rows) -> float:
    """Of workers that are not in wrk's way, if there are figures of such."""
    one, two = _PARTS if _PARTS[0] in of else _WHOLE
    return of[two]["requests_per_second"] / of[one]["requests_per_second"]


BOUNDS = (Bound("two workers / one, requests/s", _gain, least=1.7),)


@dataclass(frozen=True, slots=True)
class Workers:
    """On one socket, each on a core of its own."""

    pids: list[int]
    target: Target


@dataclass(frozen=True, slots=True)
class Run:
    load: Load
    cpu_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    return run_part("workers", __doc__, measure, report, BOUNDS, arguments, seconds=3)


def measure(seconds: int, rounds: int) -> Rows:
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(local_cloud())
        text = definitions.usual(cloud)
        started = [_started(stack, text, count) for count in (1, 2)]
        for each in started:
            wrk(each.target, seconds=WARM_UP_SECONDS, connections=CONNECTIONS)
        runs = _rounds(dict(zip(_WHOLE, started, strict=True)), seconds, rounds)
        with held_to(PART, [pid for each in started for pid in each.pids]) as held:
            if held:
                runs |= _rounds(dict(zip(_PARTS, started, strict=True)), seconds, rounds)
    return {name: _summary(each) for name, each in runs.items()}


def _started(stack: contextlib.ExitStack, text: str, count: int) -> Workers:
    sock = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
    workers = [stack.enter_context(signer(text, core=number, sock=sock, worker=number + 1)) for number in range(count)]
    return Workers([worker.pid for worker in workers], open_target(f"http://127.0.0.1:{sock.getsockname()[1]}"))


def _rounds(started: dict[str, Workers], seconds: int, rounds: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in started}
    for number in range(rounds):
        for name in started if number % 2 == 0 else reversed([*started]):
            workers = started[name]
            before = sum(map(cpu_seconds, workers.pids))
            load = wrk(workers.target, seconds=seconds, connections=CONNECTIONS, core=_load_core())
            runs[name].append(Run(load, sum(map(cpu_seconds, workers.pids)) - before))
    return runs


def _load_core() -> int:
    """One that no worker has, where there is one."""
    return 2 if (os.cpu_count() or 1) > 2 else LOAD_CORE


def _summary(runs: list[Run]) -> dict[str, float]:
    return {
        "requests_per_second": median(run.load.requests_per_second for run in runs),
        "p99_milliseconds": median(run.load.p99 for run in runs),
        "cpu_microseconds": median(1e6 * run.cpu_seconds / run.load.requests for run in runs),
        "load_cpu_microseconds": median(1e6 * run.load.cpu_seconds / run.load.requests for run in runs),
    }


def report(figures: Rows) -> str:
    head = ("workers", "requests/s", "p99 ms", "CPU us", "wrk's CPU us")
    rows = [
        (
            name,
            f"{of['requests_per_second']:,.0f}",
            f"{of['p99_milliseconds']:.2f}",
            f"{of['cpu_microseconds']:.1f}",
            f"{of['load_cpu_microseconds']:.1f}",
        )
        for name, of in figures.items()
    ]
    bounds = [each.row() for each in verdicts(BOUNDS, figures)]
    cores = os.cpu_count() or 1
    shared = f"With {cores} cores wrk has the second worker's core.\n" if cores < 3 else ""
    return table(head, rows) + shared + table(("bound", "measured", "promised", ""), bounds)


if __name__ == "__main__":
    sys.exit(main())
