"""Does a slow STS slow down signing? `python -m bench.slow_sts`

Twenty roles with short-lived tokens are fetched all the time, from an STS that answers at once and from one that takes
5 s, in turn; meanwhile wrk asks for signatures. p99 with the slow one should be within 10 % of the other.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from bench.load import Load, Target, wrk, wrk_program
from bench.processes import CannotMeasure, Cloud, Signer, local_cloud, signer, wait_until
from bench.results import write_result
from bench.table import table

ROLES = 20
SPARE_SECONDS = 4
"""How much longer than forms the slow STS's tokens live; the signer fetches anew after 0.5 to 0.9 of it."""
MOST_RATIO = 1.1
HEALTHY, SLOW = "healthy", "slow"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.slow_sts", description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="how often each STS is measured")
    parser.add_argument("--seconds", type=int, default=8, help="how long one run takes")
    parser.add_argument("--answers-after", type=int, default=5, metavar="SECONDS", help="how slow the slow STS is")
    options = parser.parse_args(arguments)
    load_average = os.getloadavg()[0]
    try:
        wrk_program()
        with local_cloud() as cloud:
            become(HEALTHY, cloud, options.answers_after)
            with signer(definitions(cloud, options.answers_after)) as running:
                figures = measure(cloud, running, options.pairs, options.seconds, options.answers_after)
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(report(figures, options.answers_after))
    p99 = {kind: median(load.p99 for load, _ in figures[kind]) for kind in figures}
    write_result(
        "slow_sts",
        {
            "answers_after_seconds": options.answers_after,
            "run_seconds": options.seconds,
            "p99_ratio": p99[SLOW] / p99[HEALTHY],
            "p99_ratio_of_each_pair": pair_ratios(figures),
            "load_average_before": load_average,
            **{
                kind: [
                    {
                        "milliseconds": load.milliseconds,
                        "requests_per_second": load.requests_per_second,
                        "failed": load.failed,
                        "fetches": fetches,
                    }
                    for load, fetches in runs
                ]
                for kind, runs in figures.items()
            },
        },
    )
    return 0


def definitions(cloud: Cloud, answers_after: int) -> str:
    roles = "".join(
        f'  r{n}: {{type: assume_role, role_arn: "acs:ram::1234567890123456:role/r{n}", endpoint: "{cloud.sts}", '
        "min_remaining: 1s}\n"
        for n in range(ROLES)
    )
    apps = "".join(f"  a{n}: {{credentials: r{n}}}\n" for n in range(ROLES))
    return (
        f'version: 1\nserver: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}\ncredentials:\n{roles}'
        f"defaults: {{region: cn-hangzhou, bucket: photos, expires: {answers_after + 1}s}}\napps:\n{apps}"
    )


Figures = dict[str, list[tuple[Load, int]]]
"""For either STS, what each run saw, and how many fetches began during it."""


def measure(cloud: Cloud, running: Signer, pairs: int, seconds: int, answers_after: int) -> Figures:
    url = f"{running.public}/generate_signature?app_id=a0"
    wrk(Target(url), seconds=2)  # to warm up
    figures: Figures = {HEALTHY: [], SLOW: []}
    for number in range(pairs):
        # Who goes first changes, so that what drifts hits both.
        for kind in (HEALTHY, SLOW) if number % 2 == 0 else (SLOW, HEALTHY):
            become(kind, cloud, answers_after)
            settle(kind, cloud, running)
            before = cloud.counts()["sts.AssumeRole"]
            load = wrk(Target(url), seconds=seconds)
            figures[kind].append((load, cloud.counts()["sts.AssumeRole"] - before))
    return figures


def become(kind: str, cloud: Cloud, answers_after: int) -> None:
    """The tokens of either STS live so long that a role is fetched as often from the one as from the other."""
    expires = answers_after + 1
    if kind == SLOW:
        late: dict[str, Any] = {"kind": "latency", "seconds": answers_after}
        cloud.set_faults(sts=[late, lives(expires + SPARE_SECONDS)])
    else:
        cloud.set_faults(sts=[lives(expires + SPARE_SECONDS + answers_after / 0.7)])


def lives(seconds: float) -> dict[str, Any]:
    return {"kind": "nearly_expired", "seconds": seconds}


def settle(kind: str, cloud: Cloud, running: Signer) -> None:
    """Returns when no role suffers from the change any more, and the slow STS holds a fetch up."""
    if kind == SLOW:
        wait_until(lambda: cloud.waiting()["sts"] > 0)
    wait_until(lambda: all(role["usable"] and role["last_error"] is None for role in running.roles()))


def report(figures: Figures, answers_after: int) -> str:
    head = ("STS", "p50 ms", "p99 ms", "lowest", "highest", "requests/s", "fetches/run", "failed")
    rows = []
    for kind, title in ((HEALTHY, "answers at once"), (SLOW, f"answers after {answers_after:g} s")):
        loads = [load for load, _ in figures[kind]]
        rows.append(
            (
                title,
                f"{median(load.p50 for load in loads):.2f}",
                f"{median(load.p99 for load in loads):.2f}",
                f"{min(load.p99 for load in loads):.2f}",
                f"{max(load.p99 for load in loads):.2f}",
                f"{median(load.requests_per_second for load in loads):.0f}",
                f"{median(fetches for _, fetches in figures[kind]):.0f}",
                str(sum(load.failed for load in loads)),
            )
        )
    p99 = {kind: median(load.p99 for load, _ in figures[kind]) for kind in figures}
    ratio = p99[SLOW] / p99[HEALTHY]
    verdict = "as promised" if ratio < MOST_RATIO else "MORE than promised"
    pairs = pair_ratios(figures)
    return (
        f"Medians of {len(figures[HEALTHY])} runs in turn; lowest and highest are of p99.\n"
        f"{table(head, rows)}p99, slow to healthy: {ratio:.2f} (at most {MOST_RATIO}: {verdict}); "
        f"pair by pair {min(pairs):.2f} to {max(pairs):.2f}, which is what the machine makes of it\n"
    )


def pair_ratios(figures: Figures) -> list[float]:
    """Slow to healthy, of runs that followed one another."""
    return [slow.p99 / healthy.p99 for (slow, _), (healthy, _) in zip(figures[SLOW], figures[HEALTHY], strict=True)]


if __name__ == "__main__":
    sys.exit(main())
