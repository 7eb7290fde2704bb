"""What was promised, beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Bound:
    """Not to be fallen below, or not to be exceeded."""

    name: str
    figure: Callable[[Any], float]
    """Of what was measured; a KeyError says that it was not."""
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    name: str
    measured: float
    promised: str
    met: bool

    def row(self) -> tuple[str, ...]:
        return (self.name, f"{self.measured:.3g}", self.promised, "met" if self.met else "NOT MET")


def verdicts(bounds: Sequence[Bound], figures: Any) -> list[Verdict]:
    """Of all bounds whose figures are there."""
    found = []
    for bound in bounds:
        try:
            measured = bound.figure(figures)
        except KeyError:
            continue
        if bound.least is not None:
            found.append(Verdict(bound.name, measured, f">= {bound.least:g}", measured >= bound.least))
        if bound.most is not None:
            found.append(Verdict(bound.name, measured, f"<= {bound.most:g}", measured <= bound.most))
    return found


def told(bounds: Sequence[Bound], figures: Any) -> list[dict[str, Any]]:
    """The same for a file."""
    return [asdict(each) for each in verdicts(bounds, figures)]
