"""How much faster do other versions of Python sign? `python -m bench.pythons PYTHON...`

Each PYTHON is the interpreter of an environment with the signer's requirements: for example .venv313/bin/python, after
`make .venv313/.runtime VENV=.venv313 PYTHON=python3.13`. All are measured in turn in one run, and the ratios are to the
Python that runs this command.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
from collections.abc import Sequence

from bench import definitions
from bench.contenders import ROWS, Servers
from bench.cpu_idle import without_idle_states
from bench.errors import CannotMeasure
from bench.processes import SERVER_CORE, local_cloud, signer
from bench.results import write_result
from bench.rounds import Figures, in_turn, medians
from bench.tables import Table
from bench.wrk import check_wrk

LETTERS = ("b", "c", "d")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print requests per second of each version; the exit status is 1 if they could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.pythons", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pythons", nargs="+", metavar="PYTHON", help="the interpreter of an environment")
    parser.add_argument("--seconds", type=int, default=3, help="length of one run; default: 3")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each row; default: 5")
    options = parser.parse_args(arguments)
    try:
        check_wrk()
        with without_idle_states():
            versions = measure([sys.executable, *options.pythons], options.seconds, options.rounds)
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(table(versions).text())
    write_result("pythons", {"versions": versions})
    return 0


def measure(pythons: Sequence[str], seconds: int, rounds: int) -> dict[str, dict[str, Figures]]:
    """Return the figures of each row, by the version of Python and its place."""
    names = [f"{_version(python)} ({number})" for number, python in enumerate(pythons, 1)]
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(local_cloud())
        contenders = {}
        for name, python in zip(names, pythons, strict=True):
            running = stack.enter_context(signer(definitions.usual(cloud), core=SERVER_CORE, python=[python]))
            servers = Servers(cloud, fast=running, standard=running)
            for letter in LETTERS:
                contenders[f"{name} {letter}"] = stack.enter_context(ROWS[letter].start(servers))
        runs = in_turn(contenders, seconds, rounds)
    return {name: {letter: medians(runs[f"{name} {letter}"]) for letter in LETTERS} for name in names}


def table(versions: dict[str, dict[str, Figures]]) -> Table:
    """Return requests per second of each row, and their ratios to those of the first version."""
    first = next(iter(versions.values()))
    head = ("Python", *(f"({letter}) {ROWS[letter].title}" for letter in LETTERS))
    rows = [
        (name, *(_with_ratio(rows[letter], first[letter]) for letter in LETTERS)) for name, rows in versions.items()
    ]
    return Table(head, rows)


def _with_ratio(figures: Figures, first: Figures) -> str:
    value = figures["requests_per_second"]
    return f"{value:,.0f} ({value / first['requests_per_second']:.2f})"


def _version(python: str) -> str:
    """Return the version of an interpreter.

    Raises:
        CannotMeasure: It does not run.
    """
    command = [python, "-c", "import platform; print(platform.python_version())"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotMeasure(f"{python} does not run: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
