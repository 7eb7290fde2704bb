"""Counters and durations that cost next to nothing to keep; Prometheus is told when it asks.

Kept by the event loop alone, so that no lock is needed; prometheus_client's own take one at each step.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import inf

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Tally(Collector):
    """A counter with two labels."""

    def __init__(self, name: str, documentation: str, labels: tuple[str, str]) -> None:
        self._name, self._documentation, self._labels = name, documentation, labels
        self.counts: dict[tuple[str, str], int] = {}
        """By the values of the labels."""

    def add(self, first: str, second: str) -> None:
        key = (first, second)
        self.counts[key] = self.counts.get(key, 0) + 1

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for key, count in list(self.counts.items()):
            family.add_metric(key, count)
        yield family


class Durations(Collector):
    """A histogram of seconds."""

    def __init__(self, name: str, documentation: str, bounds_seconds: Sequence[float]) -> None:
        self._name, self._documentation = name, documentation
        self._bounds = tuple(bounds_seconds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum_seconds = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum_seconds += seconds

    def cumulative(self) -> list[tuple[float, float]]:
        """How many took so long or less, for each bound."""
        return list(zip((*self._bounds, inf), accumulate(self._counts), strict=True))

    def collect(self) -> Iterator[Metric]:
        buckets = [("+Inf" if bound == inf else repr(bound), count) for bound, count in self.cumulative()]
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum_seconds)
