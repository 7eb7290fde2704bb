"""A part of the bench whose rows are measured in rounds, as a command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from bench.bounds import Bound, told
from bench.load import wrk_program
from bench.processes import CannotMeasure
from bench.results import write_result
from bench.rounds import Figures

Rows = dict[str, Figures]


def run_part(
    name: str,
    description: str | None,
    measure: Callable[[int, int], Rows],
    report: Callable[[Rows], str],
    bounds: Sequence[Bound],
    arguments: Sequence[str] | None,
    *,
    seconds: int,
) -> int:
    """`measure` is given the seconds of a run and the rounds; the exit status is 1 when it cannot."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=description)
    parser.add_argument("--seconds", type=int, default=seconds, help=f"of one run; default: {seconds}")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    options = parser.parse_args(arguments)
    try:
        wrk_program()
        rows = measure(options.seconds, options.rounds)
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(report(rows))
    write_result(
        name,
        {"run_seconds": options.seconds, "rounds": options.rounds, "rows": rows, "bounds": told(bounds, rows)},
    )
    return 0
