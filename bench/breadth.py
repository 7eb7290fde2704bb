"""Do many apps or many roles make a signature dearer? `python -m bench.breadth`

Signers with 10 to 10,000 apps and with 1 to 50 roles, all on one core, are asked one after the other and round and
round. Of many apps one is asked, or all in turn; of many roles all are.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench import definitions
from bench.bounds import Bound, verdicts
from bench.load import NUMBER, Target
from bench.part import Rows, run_part
from bench.processes import SERVER_CORE, Cloud, local_cloud, signer
from bench.rounds import Contender, in_turn, summary
from bench.table import table

APPS = (10, 100, 1_000, 10_000)
ROLES = (1, 10, 50)

BOUNDS = (
    Bound(
        "10,000 apps / 10 apps, requests/s",
        lambda of: of["10000 apps"]["requests_per_second"] / of["10 apps"]["requests_per_second"],
        least=0.97,
    ),
)


@dataclass(frozen=True, slots=True)
class Breadth:
    name: str
    text: str
    asked: int
    """How many apps, in turn."""


def breadths(cloud: Cloud) -> list[list[Breadth]]:
    """In each list those that one signer answers."""
    of_apps = [
        [Breadth(f"{apps} apps", text, 1), Breadth(f"{apps} apps, all asked in turn", text, apps - 2)]
        for apps in APPS
        for text in [definitions.usual(cloud, apps)]
    ]
    of_roles = [
        [Breadth(f"{roles} roles, all in turn", definitions.with_roles(cloud, roles), roles)] for roles in ROLES
    ]
    return of_apps + of_roles


def main(arguments: Sequence[str] | None = None) -> int:
    return run_part("breadth", __doc__, measure, report, BOUNDS, arguments, seconds=1)


def measure(seconds: int, rounds: int) -> Rows:
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(local_cloud())
        contenders = {}
        for each in breadths(cloud):
            contenders.update(stack.enter_context(_started(each)))
        return {name: summary(runs) for name, runs in in_turn(contenders, seconds, rounds).items()}


@contextlib.contextmanager
def _started(breadths: list[Breadth]) -> Iterator[dict[str, Contender]]:
    with signer(breadths[0].text, core=SERVER_CORE) as running:
        url = f"{running.public}/generate_signature?app_id=wx{NUMBER}"
        yield {each.name: Contender(running.pid, Target(url, count=each.asked)) for each in breadths}


def report(figures: Rows) -> str:
    head = ("signer with", "requests/s", "CPU us", "p99 ms", "MiB")
    rows = [
        (
            name,
            f"{of['requests_per_second']:,.0f}",
            f"{of['cpu_microseconds']:.1f}",
            f"{of['p99_milliseconds']:.2f}",
            f"{of['memory_mib']:.0f}",
        )
        for name, of in figures.items()
    ]
    return table(head, rows) + table(
        ("bound", "measured", "promised", ""), [each.row() for each in verdicts(BOUNDS, figures)]
    )


if __name__ == "__main__":
    sys.exit(main())
