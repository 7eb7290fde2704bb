"""Counters and histograms that are cheap to update, and metrics that are computed at each scrape.

Only the event loop updates them, so they need no lock; those of prometheus_client take one for each update.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import accumulate
from math import inf

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class LabelledCounter(Collector):
    """A counter with labels; its name has no suffix `_total`."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        existing: Mapping[str, Callable[[], Collection[str]]],
    ) -> None:
        """Create a counter; `existing` returns by label the values of the first label that are exposed."""
        self._name, self._documentation, self._labels = name, documentation, labels
        self._existing = existing
        self.counts: dict[tuple[str, ...], int] = {} if labels else {(): 0}
        """By label values, in the order in which the series began. Without labels, the only series begins at 0."""

    def add(self, *label_values: str) -> None:
        """Add one to the series with these label values."""
        self.counts[label_values] = self.counts.get(label_values, 0) + 1

    def increase(self, amount: int, *label_values: str) -> None:
        """Add an amount to the series with these label values."""
        self.counts[label_values] = self.counts.get(label_values, 0) + amount

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        names = self._existing.get(self._labels[0]) if self._labels else None
        existing = None if names is None else names()
        for label_values, count in list(self.counts.items()):
            if existing is None or not label_values[0] or label_values[0] in existing:
                family.add_metric(label_values, count)
        yield family


class DurationHistogram(Collector):
    """A histogram of durations in seconds; the upper bounds of its buckets are without infinity."""

    def __init__(self, name: str, documentation: str, bounds_seconds: Sequence[float]) -> None:
        self._name, self._documentation = name, documentation
        self._bounds = tuple(bounds_seconds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum_seconds = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum_seconds += seconds

    def cumulative(self) -> list[tuple[float, float]]:
        """Return each upper bound and the number of durations up to it; the last bound is infinity."""
        return list(zip((*self._bounds, inf), accumulate(self._counts), strict=True))

    def collect(self) -> Iterator[Metric]:
        buckets = [("+Inf" if bound == inf else repr(bound), count) for bound, count in self.cumulative()]
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum_seconds)


class ScrapeCollector(Collector):
    """Calls a function at each scrape."""

    def __init__(self, function: Callable[[], Iterator[Metric]]) -> None:
        self._function = function

    def collect(self) -> Iterator[Metric]:
        return self._function()
