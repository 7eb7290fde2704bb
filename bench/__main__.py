"""Measures everything in about a quarter of an hour: `python -m bench`

Each part prints its figures as soon as it has them and writes bench/results/NAME.json; all bounds are at the end.
"""

from __future__ import annotations

import argparse
import sys
import time

from bench import apps_and_roles, cost, galleries, phone, reloads, report, requests, slow_sts, start_up, workers
from bench.bounds import bounds_table

PARTS = {
    "requests": (requests.main, []),
    "apps_and_roles": (apps_and_roles.main, []),
    "workers": (workers.main, []),
    "start_up": (start_up.main, []),
    "cost": (cost.main, []),
    "reloads": (reloads.main, ["--reloads", "5"]),
    "galleries": (galleries.main, []),
    "phone": (phone.main, []),
    "slow_sts": (slow_sts.main, ["--pairs", "3", "--seconds", "4", "--delay", "2"]),
}


def main() -> int:
    """Run all parts; the exit status is 1 if one could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.parse_args()
    started, failed = time.monotonic(), []
    for name, (run, arguments) in PARTS.items():
        sys.stdout.write(f"\n{name}\n")
        sys.stdout.flush()
        if run(arguments) != 0:
            failed.append(name)
    sys.stdout.write(f"\n{bounds_table(report.measured_bounds()).text()}")
    sys.stdout.write(f"{time.monotonic() - started:.0f} s; failed: {', '.join(failed) or 'none'}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
