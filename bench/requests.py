"""How much does a signature cost? `python -m bench.requests`

Each row of the table is a server alone on one core, asked by wrk from another, one after the other and round and round,
so that what the machine does hits all of them; figures are medians of the rounds.

While you work on the hot path:
  python -m bench.requests --rows a,b --seconds 3 --rounds 3    # 20 s; ratios are to (a)
CPU microseconds per request are the steadiest figure on a machine that others use too.
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
from bench.awake import awake
from bench.bounds import Bound, told, verdicts
from bench.contenders import ROWS
from bench.load import wrk_program
from bench.processes import SERVER_CORE, CannotMeasure, local_cloud, signer
from bench.results import write_result
from bench.rounds import CONNECTIONS, Figures, Run, in_turn, summary
from bench.table import table

BOUNDS = (
    Bound("b / a requests/s", lambda of: of["b"]["requests_per_second"] / of["a"]["requests_per_second"], least=0.90),
    Bound("c / a requests/s", lambda of: of["c"]["requests_per_second"] / of["a"]["requests_per_second"], least=0.70),
    Bound("d / a requests/s", lambda of: of["d"]["requests_per_second"] / of["a"]["requests_per_second"], least=0.70),
    Bound("b / a p99", lambda of: of["b"]["p99_milliseconds"] / of["a"]["p99_milliseconds"], most=1.3),
    Bound("b / e requests/s", lambda of: of["b"]["requests_per_second"] / of["e"]["requests_per_second"], least=8),
    Bound("b / f requests/s", lambda of: of["b"]["requests_per_second"] / of["f"]["requests_per_second"], least=100),
    Bound("g / b requests/s", lambda of: of["g"]["requests_per_second"] / of["b"]["requests_per_second"], least=0.85),
    Bound("g p99.9 ms", lambda of: of["g"]["p99_9_milliseconds"], most=25),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.requests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=_letters, default=list(ROWS), help=f"default: {','.join(ROWS)}")
    parser.add_argument("--seconds", type=int, default=3, help="of one run; default: 3")
    parser.add_argument("--rounds", type=int, default=5, help="how often each row runs; default: 5")
    options = parser.parse_args(arguments)
    load_average = os.getloadavg()[0]
    try:
        wrk_program()
        with awake() as cores_awake:
            runs = measure(options.rows, options.seconds, options.rounds)
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    figures = {letter: summary(each) for letter, each in runs.items()}
    sys.stdout.write(report(figures, options.seconds, options.rounds, cores_awake=cores_awake))
    write_result(
        "requests",
        {
            "connections": CONNECTIONS,
            "run_seconds": options.seconds,
            "rounds": options.rounds,
            "load_average_before": load_average,
            "cores_awake": cores_awake,
            "rows": {letter: {"title": ROWS[letter].title, **each} for letter, each in figures.items()},
            "bounds": told(BOUNDS, figures),
            "runs": {letter: [asdict(run) for run in each] for letter, each in runs.items()},
        },
    )
    return 0


def _letters(text: str) -> list[str]:
    letters = text.split(",")
    if not set(letters) <= set(ROWS):
        raise argparse.ArgumentTypeError(f"rows are {','.join(ROWS)}")
    return letters


def measure(rows: Sequence[str], seconds: int, rounds: int) -> dict[str, list[Run]]:
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(local_cloud())
        running = stack.enter_context(signer(definitions.usual(cloud), core=SERVER_CORE))
        contenders = {letter: stack.enter_context(ROWS[letter].start(cloud, running)) for letter in rows}
        return in_turn(contenders, seconds, rounds)


def report(figures: dict[str, Figures], seconds: int, rounds: int, *, cores_awake: bool) -> str:
    head = ("", "requests/s", "to (a)", "p50 ms", "p99 ms", "p99.9 ms", "CPU us", "MiB", "answer bytes")
    ceiling: Any = figures.get("a")
    rows = [
        (
            f"({letter}) {ROWS[letter].title}",
            f"{of['requests_per_second']:,.0f}",
            f"{of['requests_per_second'] / ceiling['requests_per_second']:.3f}" if ceiling else "-",
            f"{of['p50_milliseconds']:.2f}",
            f"{of['p99_milliseconds']:.2f}",
            f"{of['p99_9_milliseconds']:.2f}",
            f"{of['cpu_microseconds']:.1f}",
            f"{of['memory_mib']:.0f}",
            f"{of['answer_bytes']:.0f}",
        )
        for letter, of in figures.items()
    ]
    bounds = [bound.row() for bound in verdicts(BOUNDS, figures)]
    return (
        f"Medians of {rounds} runs of {seconds} s in turn; one core, {CONNECTIONS} connections that always wait, "
        f"cores that {'never' if cores_awake else 'may'} sleep.\n"
        f"{table(head, rows)}{table(('bound', 'measured', 'promised', ''), bounds) if bounds else ''}"
    )


if __name__ == "__main__":
    sys.exit(main())
