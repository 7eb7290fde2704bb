"""Does a slow STS slow down signing? `python -m bench.slow_sts`

Twenty roles with short tokens are refreshed all the time, alternately from an STS that responds at once and from one
that takes 5 s, while wrk requests signatures. The p99 with the slow one must be within 10 % of the other.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from bench.bounds import Bound, as_json, bounds_table, compare
from bench.errors import CannotMeasure
from bench.processes import Cloud, Signer, local_cloud, signer, wait_until
from bench.results import write_result
from bench.tables import Table
from bench.wrk import Load, Target, check_wrk, wrk

ROLES = 20
SPARE_SECONDS = 4
"""How much longer the slow STS's tokens live than forms; a token is refreshed after 0.5 to 0.9 of that."""
HEALTHY, SLOW = "healthy", "slow"

Runs = dict[str, list[tuple[Load, int]]]
"""The load of each run, and the number of refreshes that began during it, for both STS."""


def _p99_ratio(runs: Runs) -> float:
    healthy, slow = (median(load.milliseconds[99] for load, _ in runs[kind]) for kind in (HEALTHY, SLOW))
    return slow / healthy


BOUNDS = (Bound("slow STS / healthy STS, p99", _p99_ratio, max_value=1.1),)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m bench.slow_sts", description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="runs with each STS; default: 7")
    parser.add_argument("--seconds", type=int, default=8, help="length of one run; default: 8")
    parser.add_argument("--delay", type=int, default=5, metavar="SECONDS", help="delay of the slow STS; default: 5")
    options = parser.parse_args(arguments)
    load_average = os.getloadavg()[0]
    try:
        check_wrk()
        with local_cloud() as cloud:
            _set_sts(HEALTHY, cloud, options.delay)
            with signer(_definitions(cloud, options.delay)) as running:
                runs = measure(cloud, running, options.pairs, options.seconds, options.delay)
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(table(runs).text() + bounds_table(compare(BOUNDS, runs)).text())
    write_result(
        "slow_sts",
        {
            "delay_seconds": options.delay,
            "run_seconds": options.seconds,
            "load_average_before": load_average,
            "bounds": as_json(BOUNDS, runs),
            **{
                kind: [
                    {
                        "milliseconds": load.milliseconds,
                        "requests_per_second": load.requests_per_second,
                        "failed": load.failed,
                        "refreshes": refreshes,
                    }
                    for load, refreshes in each
                ]
                for kind, each in runs.items()
            },
        },
    )
    return 0


def measure(cloud: Cloud, running: Signer, pairs: int, seconds: int, delay: int) -> Runs:
    """Return the runs with both STS."""
    target = Target(f"{running.public}/generate_signature?app_id=a0")
    wrk(target, seconds=2)  # to warm up
    runs: Runs = {HEALTHY: [], SLOW: []}
    for number in range(pairs):
        # The order alternates, so that a drift of the machine affects both.
        for kind in (HEALTHY, SLOW) if number % 2 == 0 else (SLOW, HEALTHY):
            _set_sts(kind, cloud, delay)
            _settle(kind, cloud, running)
            before = cloud.counts()["sts.AssumeRole"]
            load = wrk(target, seconds=seconds)
            runs[kind].append((load, cloud.counts()["sts.AssumeRole"] - before))
    return runs


def table(runs: Runs) -> Table:
    """Return the medians of the runs as a table."""
    rows = []
    for kind in (HEALTHY, SLOW):
        loads = [load for load, _ in runs[kind]]
        p99 = [load.milliseconds[99] for load in loads]
        rows.append(
            (
                kind,
                f"{median(load.milliseconds[50] for load in loads):.2f}",
                f"{median(p99):.2f}",
                f"{min(p99):.2f}",
                f"{max(p99):.2f}",
                f"{median(load.requests_per_second for load in loads):,.0f}",
                f"{median(refreshes for _, refreshes in runs[kind]):.0f}",
                str(sum(load.failed for load in loads)),
            )
        )
    head = ("STS", "p50 ms", "p99 ms", "lowest p99", "highest p99", "requests/s", "refreshes/run", "failed")
    return Table(head, rows)


def _definitions(cloud: Cloud, delay: int) -> str:
    roles = "".join(
        f'  r{n}: {{type: assume_role, role_arn: "acs:ram::1234567890123456:role/r{n}", endpoint: "{cloud.sts}", '
        "min_remaining: 1s}\n"
        for n in range(ROLES)
    )
    apps = "".join(f"  a{n}: {{credentials: r{n}}}\n" for n in range(ROLES))
    return (
        f'version: 1\nserver: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}\ncredentials:\n{roles}'
        f"defaults: {{region: cn-hangzhou, key_prefix: '', bucket: photos, expires: {delay + 1}s}}\napps:\n{apps}"
    )


def _set_sts(kind: str, cloud: Cloud, delay: int) -> None:
    """Make the STS healthy or slow; lifetimes are such that a role is refreshed equally often from both."""
    shortest = delay + 1 + SPARE_SECONDS
    if kind == SLOW:
        latency: dict[str, Any] = {"kind": "latency", "seconds": delay}
        cloud.set_faults(sts=[latency, {"kind": "nearly_expired", "seconds": shortest}])
    else:
        cloud.set_faults(sts=[{"kind": "nearly_expired", "seconds": shortest + delay / 0.7}])


def _settle(kind: str, cloud: Cloud, running: Signer) -> None:
    """Return when every role is usable again, and the slow STS delays a request."""
    if kind == SLOW:
        wait_until(lambda: cloud.waiting()["sts"] > 0)
    wait_until(lambda: all(role["usable"] and role["last_error"] is None for role in running.roles()))


if __name__ == "__main__":
    sys.exit(main())
