"""The charts of the last hour, as coordinates for SVG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from signer.admin.status.history import POINTS, Point

WIDTH, HEIGHT = 2 * (POINTS - 1), 64
_STEPS = (1.0, 2.0, 5.0)
_Series = tuple[str, str, Callable[[Point], float | None]]
"""A curve's name, its class in the style sheet, and its value at a point."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart, and the area below it."""

    name: str
    kind: str
    """The class in the style sheet."""
    latest: float | None
    area: str
    line: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with one or more curves."""

    title: str
    unit: str
    top: float
    """The upper end of the scale."""
    curves: Sequence[Curve]


def charts(points: Sequence[Point | None], has_callbacks: bool) -> list[Chart]:
    """Return the four charts; a None point is a gap. Apps with callbacks have their queue as the fourth."""

    def chart(title: str, unit: str, min_top: float, *curves: _Series) -> Chart:
        values = [[None if point is None else value(point) for point in points] for _, _, value in curves]
        highest = max((value for each in values for value in each if value is not None), default=0.0)
        top = max(min_top, _round_up(highest))
        drawn = [_curve(name, kind, each, top) for (name, kind, _), each in zip(curves, values, strict=True)]
        return Chart(title, unit, top, drawn)

    signed: _Series = ("forms", "good", lambda point: point.signed_per_second)
    rejected: _Series = ("rejected", "quiet", lambda point: point.refused_per_second)
    failed: _Series = ("failed", "bad", lambda point: point.failed_per_second)
    p99: _Series = ("p99", "quiet", lambda point: _milliseconds(point.p99_seconds))
    median: _Series = ("median", "good", lambda point: _milliseconds(point.median_seconds))
    queue: _Series = ("now", "quiet", lambda point: point.callback_queue_depth)
    lag: _Series = ("max", "quiet", lambda point: _milliseconds(point.event_loop_lag_seconds))
    return [
        chart("Signed", "/s", 1, signed),
        chart("Not signed", "/s", 1, rejected, failed),
        chart("Response time", "ms", 1, p99, median),
        chart("Waiting callbacks", "", 10, queue) if has_callbacks else chart("Event loop lag", "ms", 10, lag),
    ]


def _curve(name: str, kind: str, values: Sequence[float | None], top: float) -> Curve:
    runs: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is not None:
            y = HEIGHT - 1 - (HEIGHT - 3) * min(1.0, value / top)
            runs[-1].append(f"{2 * place} {y:.1f}")
        elif runs[-1]:
            runs.append([])
    runs = [run for run in runs if run]
    area = "".join(f"M{run[0].split()[0]} {HEIGHT}L{'L'.join(run)}L{run[-1].split()[0]} {HEIGHT}Z" for run in runs)
    # The line of a single point has no length; its round ends make it a dot.
    line = "".join(f"M{'L'.join(run if len(run) > 1 else run * 2)}" for run in runs)
    return Curve(name, kind, next((value for value in reversed(values[-2:]) if value is not None), None), area, line)


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, 50 ..."""
    power = 1e-9
    while value > 0:
        for step in _STEPS:
            if step * power >= value * 0.999:
                return step * power
        power *= 10
    return 0.0


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
