"""Compares measured figures with their required bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.tables import Table


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure that must not be below `min_value` or above `max_value`."""

    name: str
    figure: Callable[[Any], float]
    """Takes what a part measured; raises KeyError if the figure was not measured."""
    min_value: float | None = None
    max_value: float | None = None


@dataclass(frozen=True, slots=True)
class BoundResult:
    """A bound and the figure that was measured."""

    name: str
    measured: float
    required: str
    is_met: bool


def compare(bounds: Sequence[Bound], figures: Any) -> list[BoundResult]:
    """Return the results of all bounds whose figures were measured."""
    results = []
    for bound in bounds:
        try:
            measured = bound.figure(figures)
        except KeyError:
            continue
        if bound.min_value is not None:
            required = f">= {bound.min_value:g}"
            results.append(BoundResult(bound.name, measured, required, measured >= bound.min_value))
        if bound.max_value is not None:
            required = f"<= {bound.max_value:g}"
            results.append(BoundResult(bound.name, measured, required, measured <= bound.max_value))
    return results


def as_json(bounds: Sequence[Bound], figures: Any) -> list[dict[str, Any]]:
    """Return the results as JSON values, for `BoundResult(**...)` to read back."""
    return [asdict(result) for result in compare(bounds, figures)]


def bounds_table(results: Iterable[BoundResult]) -> Table:
    """Return the results as a table."""
    return Table(
        ("bound", "measured", "required", ""),
        [
            (result.name, f"{result.measured:.3g}", result.required, "met" if result.is_met else "NOT MET")
            for result in results
        ],
    )
