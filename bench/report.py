"""From bench/results to docs/performance.md and its chart: `python -m bench.report`

Rewrites what stands between the markers in the page, and docs/performance.svg. The words around them stay as they are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from bench.bounds import Verdict
from bench.chart import bars
from bench.processes import ROOT
from bench.results import DIRECTORY
from bench.table import table

PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance.svg"
_BEGIN, _END = "<!-- figures: make bench, then python -m bench.report -->", "<!-- end of figures -->"
_WITH_BOUNDS = ("requests", "breadth", "workers", "start_up")


class NothingMeasured(Exception):
    """A part has no figures yet; the text says which."""


def main() -> int:
    try:
        found = {name: _read(name) for name in (*_WITH_BOUNDS, "cost")}
    except NothingMeasured as error:
        sys.stderr.write(f"{error}\n")
        return 1
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    PAGE.write_text(f"{before}{_BEGIN}\n{_figures(found)}{_END}{after}", encoding="utf-8")
    rows = found["requests"]["rows"]
    of_each = [(f"({letter}) {row['title']}", row["requests_per_second"]) for letter, row in rows.items()]
    CHART.write_text(bars("Requests a second, one core", of_each, ours="bcdg"), encoding="utf-8")
    return 0


def promises() -> str:
    """All that was promised, of the parts that have figures, as a table for a terminal."""
    rows = []
    for name in _WITH_BOUNDS:
        try:
            rows += [Verdict(**each).row() for each in _read(name)["bounds"]]
        except NothingMeasured:
            continue
    return table(("bound", "measured", "promised", ""), rows)


def _read(name: str) -> Any:
    try:
        return json.loads((DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NothingMeasured(f"there are no figures of {name} yet: python -m bench.{name}") from None


def _figures(found: dict[str, Any]) -> str:
    requests, machine = found["requests"], found["requests"]["machine"]
    return "\n".join(
        [
            f"Of {requests['at'][:10]}: Python {machine['python']}, {machine['cores']} cores, load average "
            f"{requests['load_average_before']:.1f} before; medians of {requests['rounds']} runs of "
            f"{requests['run_seconds']} s, {requests['connections']} connections, cores that "
            f"{'never' if requests['cores_awake'] else 'may'} sleep.",
            "",
            _requests(requests["rows"]),
            _promises(found),
            _breadth(found["breadth"]["rows"]),
            _workers(found["workers"]["rows"]),
            _cost(found["cost"]),
        ]
    )


def _requests(rows: dict[str, Any]) -> str:
    ceiling = rows["a"]["requests_per_second"]
    head = ("", "requests/s", "to (a)", "p50 ms", "p99 ms", "p99.9 ms", "CPU µs", "MiB", "answer bytes")
    return _markdown(
        head,
        [
            (
                f"({letter}) {row['title']}",
                f"{row['requests_per_second']:,.0f}",
                f"{row['requests_per_second'] / ceiling:.3f}",
                f"{row['p50_milliseconds']:.2f}",
                f"{row['p99_milliseconds']:.2f}",
                f"{row['p99_9_milliseconds']:.2f}",
                f"{row['cpu_microseconds']:.1f}",
                f"{row['memory_mib']:.0f}",
                f"{row['answer_bytes']:.0f}",
            )
            for letter, row in rows.items()
        ],
    )


def _promises(found: dict[str, Any]) -> str:
    verdicts = [Verdict(**each) for name in _WITH_BOUNDS for each in found[name]["bounds"]]
    return _markdown(("", "measured", "promised", ""), [verdict.row() for verdict in verdicts])


def _breadth(rows: dict[str, Any]) -> str:
    return _markdown(
        ("a signer with", "requests/s", "CPU µs", "MiB"),
        [
            (name, f"{row['requests_per_second']:,.0f}", f"{row['cpu_microseconds']:.1f}", f"{row['memory_mib']:.0f}")
            for name, row in rows.items()
        ],
    )


def _workers(rows: dict[str, Any]) -> str:
    return _markdown(
        ("workers", "requests/s", "p99 ms", "CPU µs", "wrk's CPU µs"),
        [
            (
                count,
                f"{row['requests_per_second']:,.0f}",
                f"{row['p99_milliseconds']:.2f}",
                f"{row['cpu_microseconds']:.1f}",
                f"{row['load_cpu_microseconds']:.1f}",
            )
            for count, row in rows.items()
        ],
    )


def _cost(cost: dict[str, Any]) -> str:
    return _markdown(
        ("machine instructions", "a request", "to (a)"),
        [(kind, f"{count:,.0f}", f"{cost['hellos'].get(kind, 1):.2f}") for kind, count in cost["instructions"].items()],
    )


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
