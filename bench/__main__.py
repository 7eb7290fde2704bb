"""All figures, in some six minutes: `python -m bench`

Each part prints its own as soon as it has them and writes bench/results/NAME.json; what was promised comes at the end.
"""

from __future__ import annotations

import argparse
import sys
import time

from bench import breadth, cost, report, requests, scale, slow_sts, start_up, workers

PARTS = {
    "requests": (requests.main, []),
    "breadth": (breadth.main, []),
    "workers": (workers.main, []),
    "start_up": (start_up.main, []),
    "cost": (cost.main, []),
    "scale": (scale.main, ["--reloads", "5"]),
    "slow_sts": (slow_sts.main, ["--pairs", "3", "--seconds", "4", "--answers-after", "2"]),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.parse_args()
    began, failed = time.monotonic(), []
    for name, (run, arguments) in PARTS.items():
        sys.stdout.write(f"\n{name}\n")
        sys.stdout.flush()
        if run(arguments) != 0:
            failed.append(name)
    sys.stdout.write(f"\n{report.promises()}")
    sys.stdout.write(f"{time.monotonic() - began:.0f} s; failed: {', '.join(failed) or 'none'}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
