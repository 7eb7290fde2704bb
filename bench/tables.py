"""Formats figures as tables, for a terminal and for a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """A head and rows of text; the first column has the names."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Return aligned columns: names to the left, figures to the right."""
        lines = [self.head, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        return "".join(
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            + "\n"
            for line in lines
        )

    def markdown(self) -> str:
        """Return a Markdown table."""
        lines = [self.head, ["---", *["--:"] * (len(self.head) - 1)], *self.rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


FORMATS = {
    "requests_per_second": ("requests/s", ",.0f"),
    "p50_milliseconds": ("p50 ms", ".2f"),
    "p99_milliseconds": ("p99 ms", ".2f"),
    "p99_9_milliseconds": ("p99.9 ms", ".2f"),
    "cpu_microseconds": ("CPU µs", ".1f"),
    "wrk_cpu_microseconds": ("wrk's CPU µs", ".1f"),
    "memory_mib": ("MiB", ".0f"),
    "response_bytes": ("response bytes", ".0f"),
}
"""The heading and the format of each figure of a run."""


def figures_table(name: str, rows: Mapping[str, Mapping[str, float]], figures: Iterable[str]) -> Table:
    """Return a table of these figures; `name` is the heading of the names."""
    columns = [(figure, *FORMATS[figure]) for figure in figures]
    return Table(
        (name, *(heading for _, heading, _ in columns)),
        [(label, *(format(row[figure], spec) for figure, _, spec in columns)) for label, row in rows.items()],
    )
