"""Do two workers double the throughput of one? `python -m bench.workers`

Workers share one listening socket, as systemd passes it to them, and have a core each. wrk needs a core too, and on a
machine with two cores it shares that of the second worker, so doubling cannot show. So the workers are measured once
more with a part of their core each, which leaves wrk enough; the bound is for that.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Sequence

from bench import definitions
from bench.bounds import Bound
from bench.contenders import open_app_request
from bench.cpu_quota import cpu_quota
from bench.part import run_part
from bench.processes import LOAD_CORE, local_cloud, signer
from bench.rounds import Contender, Rows, in_turn, medians
from bench.tables import Table, figures_table

CONNECTIONS = 64
"""More than elsewhere, so that it matters little how the system distributes connections to the workers."""
QUOTA = 0.4
"""The part of a core that leaves wrk more than it needs, while two workers run on two cores."""
_FULL = ("1", "2")
_LIMITED = (f"1, {QUOTA:g} of a core", f"2, {QUOTA:g} of a core each")


def _gain(rows: Rows) -> float:
    """Return the ratio of limited workers if they were measured, else that of workers with full cores."""
    one, two = _LIMITED if _LIMITED[0] in rows else _FULL
    return rows[two]["requests_per_second"] / rows[one]["requests_per_second"]


BOUNDS = (Bound("two workers / one, requests/s", _gain, min_value=1.7),)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    return run_part("workers", __doc__, measure, table, BOUNDS, arguments, seconds=3)


def measure(seconds: int, rounds: int) -> Rows:
    """Return the figures of each row."""
    wrk_core = 2 if (os.cpu_count() or 1) > 2 else LOAD_CORE

    def runs(names: Sequence[str]) -> Rows:
        contenders = dict(zip(names, started, strict=True))
        measured = in_turn(contenders, seconds, rounds, connections=CONNECTIONS, wrk_core=wrk_core)
        return {name: medians(each) for name, each in measured.items()}

    with contextlib.ExitStack() as stack:
        text = definitions.usual(stack.enter_context(local_cloud()))
        started = [_started(stack, text, workers) for workers in (1, 2)]
        rows = runs(_FULL)
        with cpu_quota(QUOTA, [pid for each in started for pid in each.pids]) as is_limited:
            if is_limited:
                rows |= runs(_LIMITED)
    return rows


def _started(stack: contextlib.ExitStack, text: str, workers: int) -> Contender:
    sock = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
    pids = [
        stack.enter_context(signer(text, core=number, sock=sock, worker=number + 1)).pid for number in range(workers)
    ]
    return Contender(pids, open_app_request(f"http://127.0.0.1:{sock.getsockname()[1]}"))


def table(rows: Rows) -> Table:
    """Return the rows as a table."""
    figures = ("requests_per_second", "p99_milliseconds", "cpu_microseconds", "wrk_cpu_microseconds")
    return figures_table("workers", rows, figures)


if __name__ == "__main__":
    sys.exit(main())
