"""Does a signature cost more with many apps or roles? `python -m bench.apps_and_roles`

Signers with 10 to 10,000 apps and with 1 to 50 roles, all on one core, are measured in turn. With many apps, wrk
requests either one of them or all in turn; with many roles, always all.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench import definitions
from bench.bounds import Bound
from bench.part import run_part
from bench.processes import SERVER_CORE, Cloud, local_cloud, signer
from bench.rounds import Contender, Rows, in_turn, medians
from bench.tables import Table, figures_table
from bench.wrk import NUMBER, Target

APPS = (10, 100, 1_000, 10_000)
ROLES = (1, 10, 50)

BOUNDS = (
    Bound(
        "10,000 apps / 10 apps, requests/s",
        lambda rows: rows["10000 apps"]["requests_per_second"] / rows["10 apps"]["requests_per_second"],
        min_value=0.97,
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A number of apps that one signer is asked for in turn."""

    name: str
    apps: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    return run_part("apps_and_roles", __doc__, measure, table, BOUNDS, arguments, seconds=1)


def measure(seconds: int, rounds: int) -> Rows:
    """Return the figures of each row."""
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(local_cloud())
        contenders = {}
        for text, rows in _signers(cloud):
            contenders.update(stack.enter_context(_started(text, rows)))
        return {name: medians(runs) for name, runs in in_turn(contenders, seconds, rounds).items()}


def _signers(cloud: Cloud) -> Iterator[tuple[str, list[Row]]]:
    """Yield the definitions and the rows of each signer."""
    for apps in APPS:
        yield definitions.usual(cloud, apps), [Row(f"{apps} apps", 1), Row(f"{apps} apps, all in turn", apps - 2)]
    for roles in ROLES:
        yield definitions.with_roles(cloud, roles), [Row(f"{roles} roles, all in turn", roles)]


@contextlib.contextmanager
def _started(text: str, rows: Sequence[Row]) -> Iterator[dict[str, Contender]]:
    with signer(text, core=SERVER_CORE) as running:
        url = f"{running.public}/generate_signature?app_id=wx{NUMBER}"
        yield {row.name: Contender([running.pid], Target(url, count=row.apps)) for row in rows}


def table(rows: Rows) -> Table:
    """Return the rows as a table."""
    figures = ("requests_per_second", "cpu_microseconds", "p99_milliseconds", "memory_mib")
    return figures_table("signer with", rows, figures)


if __name__ == "__main__":
    sys.exit(main())
