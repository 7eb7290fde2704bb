"""Are two workers twice one? `python -m bench.workers`

Workers share one listening socket, as systemd hands it to them, and have a core each. wrk needs a core too: on a
machine with two it takes it from the workers, so what counts there is the CPU time that a signature costs either way.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from statistics import median

from bench import definitions
from bench.bounds import Bound, verdicts
from bench.consumption import cpu_seconds
from bench.contenders import open_target
from bench.load import Load, wrk
from bench.part import Rows, run_part
from bench.processes import LOAD_CORE, local_cloud, signer
from bench.table import table

CONNECTIONS = 64
"""More than elsewhere, so that the system's share-out of connections among the workers does not count for much."""

BOUNDS = (
    Bound(
        "two workers / one, requests/s",
        lambda of: of["2"]["requests_per_second"] / of["1"]["requests_per_second"],
        least=1.7,
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    return run_part("workers", __doc__, measure, report, BOUNDS, arguments, seconds=3)


def measure(seconds: int, rounds: int) -> Rows:
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(local_cloud())
        text = definitions.usual(cloud)
        targets, pids = {}, {}
        for count in (1, 2):
            sock = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
            workers = [
                stack.enter_context(signer(text, core=number, sock=sock, worker=number + 1)) for number in range(count)
            ]
            targets[count] = open_target(f"http://127.0.0.1:{sock.getsockname()[1]}")
            pids[count] = [worker.pid for worker in workers]
            wrk(targets[count], seconds=1, connections=CONNECTIONS)
        runs: dict[int, list[tuple[Load, float]]] = {1: [], 2: []}
        for number in range(rounds):
            for count in (1, 2) if number % 2 == 0 else (2, 1):
                before = sum(map(cpu_seconds, pids[count]))
                load = wrk(targets[count], seconds=seconds, connections=CONNECTIONS, core=_load_core(count))
                runs[count].append((load, sum(map(cpu_seconds, pids[count])) - before))
    return {
        str(count): {
            "requests_per_second": median(load.requests_per_second for load, _ in each),
            "p99_milliseconds": median(load.p99 for load, _ in each),
            "cpu_microseconds": median(1e6 * used / load.requests for load, used in each),
            "load_cpu_microseconds": median(1e6 * load.cpu_seconds / load.requests for load, _ in each),
        }
        for count, each in runs.items()
    }


def _load_core(workers: int) -> int | None:
    """One that no worker has, where there is one."""
    return workers if (os.cpu_count() or 1) > workers else LOAD_CORE


def report(figures: Rows) -> str:
    head = ("workers", "requests/s", "p99 ms", "CPU us", "wrk's CPU us")
    rows = [
        (
            count,
            f"{of['requests_per_second']:,.0f}",
            f"{of['p99_milliseconds']:.2f}",
            f"{of['cpu_microseconds']:.1f}",
            f"{of['load_cpu_microseconds']:.1f}",
        )
        for count, of in figures.items()
    ]
    bounds = [each.row() for each in verdicts(BOUNDS, figures)]
    cores = os.cpu_count() or 1
    shared = f"With {cores} cores wrk has the second worker's core.\n" if cores < 3 else ""
    return table(head, rows) + shared + table(("bound", "measured", "promised", ""), bounds)


if __name__ == "__main__":
    sys.exit(main())
