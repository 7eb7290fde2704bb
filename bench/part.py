"""The command of a part of the bench whose rows are measured in turn."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from bench.bounds import Bound, as_json, bounds_table, compare
from bench.errors import CannotMeasure
from bench.results import write_result
from bench.rounds import Rows
from bench.tables import Table
from bench.wrk import check_wrk


def run_part(
    name: str,
    description: str | None,
    measure: Callable[[int, int], Rows],
    table: Callable[[Rows], Table],
    bounds: Sequence[Bound],
    arguments: Sequence[str] | None,
    *,
    seconds: int,
) -> int:
    """Measure, print and store a part; return the exit status, 1 if it could not be measured.

    Args:
        name: The module, which also names the file of its figures.
        description: The help text of the command.
        measure: Takes the seconds of a run and the number of rounds.
        table: Formats the rows.
        bounds: The bounds of the rows.
        arguments: The command line; None for that of the process.
        seconds: The default length of a run.
    """
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=description)
    parser.add_argument("--seconds", type=int, default=seconds, help=f"length of one run; default: {seconds}")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    options = parser.parse_args(arguments)
    try:
        check_wrk()
        rows = measure(options.seconds, options.rounds)
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(table(rows).text() + bounds_table(compare(bounds, rows)).text())
    write_result(
        name,
        {"run_seconds": options.seconds, "rounds": options.rounds, "rows": rows, "bounds": as_json(bounds, rows)},
    )
    return 0
