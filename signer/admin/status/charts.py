"""The charts of the last hour and the bars of tokens, as SVG in the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from signer.admin.status import number_format
from signer.admin.status.history import POINTS, Point

_WIDTH, _HEIGHT = 2 * (POINTS - 1), 64
_STEPS = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart."""

    name: str
    kind: str
    """The class in the style sheet."""
    value: Callable[[Point], float | None]
    """Returns the value at a point, in the unit of the chart."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with one or more curves over the last hour."""

    title: str
    unit: str
    curves: tuple[Curve, ...]
    min_top: float
    """The minimum of the scale's upper end, so that small values do not fill the chart."""

    def draw(self, points: Sequence[Point | None]) -> Markup:
        """Render the chart; a None point is a gap."""
        values = [[None if point is None else curve.value(point) for point in points] for curve in self.curves]
        top = _round_up(max((value for each in values for value in each if value is not None), default=0.0))
        top = max(top, self.min_top)
        paths = [_paths(curve, each, top) for curve, each in zip(self.curves, values, strict=True)]
        legend = [
            Markup('<li class="{}"><span class="name">{}</span> <b>{}</b> {}</li>').format(
                curve.kind, curve.name, self._latest(each), self.unit
            )
            for curve, each in zip(self.curves, values, strict=True)
        ]
        return Markup(
            '<figure class="card chart"><figcaption><h3>{}</h3><ul class="legend">{}</ul></figcaption>'
            '<div class="plot"><span class="top">{} {}</span>'
            '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}, the last hour">'
            "{}</svg></div>"
            '<p class="axis"><span>1 h ago</span><span>30 min</span><span>now</span></p></figure>'
        ).format(
            self.title,
            Markup("").join(legend),
            f"{top:g}",
            self.unit,
            _WIDTH,
            _HEIGHT,
            self.title,
            Markup("").join(paths),
        )

    def _latest(self, values: Sequence[float | None]) -> str:
        known = [value for value in values[-2:] if value is not None]
        return number_format.number(known[-1]) if known else "–"


def _paths(curve: Curve, values: Sequence[float | None], top: float) -> Markup:
    runs: list[list[tuple[int, float]]] = [[]]
    for place, value in enumerate(values):
        if value is not None:
            runs[-1].append((place, value))
        elif runs[-1]:
            runs.append([])
    lines = [[f"{2 * place} {_y(value, top)}" for place, value in run] for run in runs if run]
    areas = [f"M{line[0].split()[0]} {_HEIGHT}L{'L'.join(line)}L{line[-1].split()[0]} {_HEIGHT}Z" for line in lines]
    # The line of a single point has no length; its round ends make it a dot.
    strokes = [f"M{'L'.join(line if len(line) > 1 else line * 2)}" for line in lines]
    return Markup('<path class="area {}" d="{}"/><path class="line {}" d="{}"/>').format(
        curve.kind, "".join(areas), curve.kind, "".join(strokes)
    )


def _y(value: float, top: float) -> str:
    return f"{_HEIGHT - 1 - (_HEIGHT - 3) * min(1.0, value / top):.1f}"


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, 50 ..."""
    if value <= 0:
        return 0.0
    power = 1e-9
    while True:
        for step in _STEPS:
            if step * power >= value * 0.999:
                return step * power
        power *= 10


def token_bar(share: float, required_share: float, kind: str, label: str) -> Markup:
    """Render how much of a token's life is left.

    Args:
        share: the part of its life that is left, from 0 to 1.
        required_share: the position of the tick, below which forms expire before their app's `expires`.
        kind: a class in the style sheet.
        label: the text for screen readers.
    """
    tick = Markup("")
    if 0 < required_share < 1:
        tick = Markup('<line class="tick" x1="{0}" x2="{0}" y1="0" y2="8"/>').format(f"{100 * required_share:.1f}")
    return Markup(
        '<svg class="bar {}" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="life" width="100" height="8"/><rect class="left" width="{}" height="8"/>{}</svg>'
    ).format(kind, label, f"{100 * min(1.0, max(0.0, share)):.1f}", tick)


def charts(has_callbacks: bool) -> list[Chart]:
    """Return the four charts of the page; apps with callbacks have their queue as the fourth."""
    signed = Curve("forms", "good", lambda point: point.signed_per_second)
    refused = Curve("rejected", "quiet", lambda point: point.refused_per_second)
    failed = Curve("failed", "bad", lambda point: point.failed_per_second)
    p99 = Curve("p99", "quiet", lambda point: _milliseconds(point.p99_seconds))
    median = Curve("median", "good", lambda point: _milliseconds(point.median_seconds))
    lag = Curve("max", "quiet", lambda point: _milliseconds(point.loop_lag_seconds))
    waiting = Curve("now", "quiet", lambda point: point.queue_depth)
    return [
        Chart("Signed", "/s", (signed,), 1),
        Chart("Not signed", "/s", (refused, failed), 1),
        Chart("Response time", "ms", (p99, median), 1),
        Chart("Waiting callbacks", "", (waiting,), 10) if has_callbacks else Chart("Event loop lag", "ms", (lag,), 10),
    ]


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
