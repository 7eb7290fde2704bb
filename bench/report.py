"""Writes the figures of bench/results to docs/performance.md and its chart: `python -m bench.report`

The text between the markers in the page is replaced, and the charts docs/performance.svg and docs/phone.svg.
"""

from __future__ import annotations

import sys
from typing import Any

from bench import apps_and_roles, cost, phone, requests, workers
from bench.bar_chart import bar_chart
from bench.bounds import BoundResult, bounds_table
from bench.contenders import ROWS
from bench.processes import ROOT
from bench.results import read_result

PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance.svg"
PHONE_CHART = ROOT / "docs" / "phone.svg"
PARTS_WITH_BOUNDS = ("requests", "apps_and_roles", "workers", "start_up", "reloads", "slow_sts", "galleries", "phone")
_BEGIN, _END = "<!-- figures: make bench, then python -m bench.report -->", "<!-- end of figures -->"


def main() -> int:
    """Run the command."""
    try:
        results = {name: read_result(name) for name in (*PARTS_WITH_BOUNDS, "cost")}
    except FileNotFoundError as error:
        sys.stderr.write(f"{error.filename} does not exist; run make bench\n")
        return 1
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    PAGE.write_text(f"{before}{_BEGIN}\n{_figures(results)}{_END}{after}", encoding="utf-8")
    rows = results["requests"]["rows"]
    bars = [
        (f"({letter}) {ROWS[letter].title}", row["requests_per_second"], ROWS[letter].is_signer)
        for letter, row in rows.items()
    ]
    CHART.write_text(bar_chart("Requests per second of one core", bars), encoding="utf-8")
    PHONE_CHART.write_text(
        bar_chart("Seconds until all files are stored", phone.bars(results["phone"]["rows"])), "utf-8"
    )
    return 0


def measured_bounds() -> list[BoundResult]:
    """Return the results of all bounds of the parts that were measured."""
    results = []
    for name in PARTS_WITH_BOUNDS:
        try:
            results += [BoundResult(**each) for each in read_result(name)["bounds"]]
        except FileNotFoundError:
            continue
    return results


def _figures(results: dict[str, Any]) -> str:
    measured, machine = results["requests"], results["requests"]["machine"]
    return "\n".join(
        [
            f"{measured['at'][:10]}: Python {machine['python']}, {machine['cores']} cores, load average "
            f"{measured['load_average_before']:.1f} before; medians of {measured['rounds']} runs of "
            f"{measured['run_seconds']} s, {measured['connections']} connections, cores that "
            f"{'never' if measured['cores_awake'] else 'may'} sleep.",
            "",
            requests.table(measured["rows"]).markdown(),
            bounds_table(measured_bounds()).markdown(),
            apps_and_roles.table(results["apps_and_roles"]["rows"]).markdown(),
            workers.table(results["workers"]["rows"]).markdown(),
            cost.table(results["cost"]["instructions"]).markdown(),
            phone.table(results["phone"]["rows"]).markdown(),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
