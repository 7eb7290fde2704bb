"""How much does a signature cost? `python -m bench.requests`

Each row is a server alone on one core, loaded by wrk from another. The rows are measured in turn, so that a disturbance
of the machine affects all of them; figures are medians of the rounds.

While you work on the hot path, this takes 20 seconds (ratios are to (a)):
  python -m bench.requests --rows a,b --seconds 3 --rounds 3
On a machine that others use too, CPU microseconds per request are the steadiest figure.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench import definitions
from bench.bounds import Bound, as_json, bounds_table, compare
from bench.contenders import BATCH_FILES, ROWS, Servers
from bench.cpu_idle import without_idle_states
from bench.errors import CannotMeasure
from bench.processes import SERVER_CORE, local_cloud, signer
from bench.results import write_result
from bench.rounds import CONNECTIONS, Rows, Run, in_turn, medians
from bench.tables import Table, figures_table
from bench.wrk import check_wrk

_FIGURES = (
    "requests_per_second",
    "p50_milliseconds",
    "p99_milliseconds",
    "p99_9_milliseconds",
    "cpu_microseconds",
    "memory_mib",
    "response_bytes",
)


def _ratio(
    row: str, other: str, min_value: float | None = None, max_value: float | None = None, figure: str = _FIGURES[0]
) -> Bound:
    name = f"({row}) / ({other}) {'requests/s' if figure == _FIGURES[0] else 'p99'}"
    return Bound(name, lambda rows: rows[row][figure] / rows[other][figure], min_value, max_value)


BOUNDS = (
    _ratio("b", "a", 1.10),
    _ratio("c", "a", 0.75),
    _ratio("d", "a", 0.65),
    _ratio("n", "a", 2 / BATCH_FILES),
    Bound("(n) / (d) CPU", lambda rows: rows["n"]["cpu_microseconds"] / rows["d"]["cpu_microseconds"], max_value=3),
    _ratio("B", "a", 0.70),
    _ratio("C", "a", 0.47),
    _ratio("D", "a", 0.40),
    _ratio("b", "a", max_value=1.4, figure="p99_milliseconds"),
    _ratio("b", "e", 8),
    _ratio("b", "f", 100),
    _ratio("b", "i", 1.3),
    _ratio("c", "i", 0.8),
    # Not to (b): a faster (b) would fail it without (g) having become slower.
    _ratio("g", "a", 0.9),
    Bound("(g) p99.9 ms", lambda rows: rows["g"]["p99_9_milliseconds"], max_value=25),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.requests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    available = [letter for letter, row in ROWS.items() if row.is_available()]
    parser.add_argument("--rows", type=_letters, default=available, help=f"default: {','.join(available)}")
    parser.add_argument("--seconds", type=int, default=3, help="length of one run; default: 3")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each row; default: 5")
    options = parser.parse_args(arguments)
    load_average = os.getloadavg()[0]
    try:
        check_wrk()
        with without_idle_states() as cores_awake:
            runs = measure(options.rows, options.seconds, options.rounds)
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    rows = {letter: medians(each) for letter, each in runs.items()}
    sys.stdout.write(table(rows).text() + bounds_table(compare(BOUNDS, rows)).text())
    write_result(
        "requests",
        {
            "connections": CONNECTIONS,
            "run_seconds": options.seconds,
            "rounds": options.rounds,
            "load_average_before": load_average,
            "cores_awake": cores_awake,
            "rows": rows,
            "bounds": as_json(BOUNDS, rows),
            "runs": {letter: [asdict(run) for run in each] for letter, each in runs.items()},
        },
    )
    return 0


def _letters(text: str) -> list[str]:
    letters = text.split(",")
    if not set(letters) <= set(ROWS):
        raise argparse.ArgumentTypeError(f"unknown row; rows are {','.join(ROWS)}")
    return letters


def measure(letters: Sequence[str], seconds: int, rounds: int) -> dict[str, list[Run]]:
    """Return the runs of each row."""
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(local_cloud())
        text = definitions.usual(cloud)
        fast, standard = (
            stack.enter_context(signer(text, core=SERVER_CORE, environ={"OSS_SIGNER_STANDARD_HTTP": value}))
            for value in ("0", "1")
        )
        servers = Servers(cloud, fast, standard)
        contenders = {letter: stack.enter_context(ROWS[letter].start(servers)) for letter in letters}
        return in_turn(contenders, seconds, rounds)


def table(rows: Rows) -> Table:
    """Return the rows as a table, with the ratios of their requests per second to those of (a)."""
    plain = figures_table("", {f"({letter}) {ROWS[letter].title}": row for letter, row in rows.items()}, _FIGURES)
    ceiling: Any = rows.get("a")
    ratios = [
        f"{row['requests_per_second'] / ceiling['requests_per_second']:.3f}" if ceiling else "-"
        for row in rows.values()
    ]
    return Table(
        (*plain.head[:2], "to (a)", *plain.head[2:]),
        [(*row[:2], ratio, *row[2:]) for row, ratio in zip(plain.rows, ratios, strict=True)],
    )


if __name__ == "__main__":
    sys.exit(main())
