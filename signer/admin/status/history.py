"""The last hour of this process, sampled from its metrics every few seconds in bounded memory.

It costs requests nothing: a thread reads the counters that exist for Prometheus anyway.
"""

from __future__ import annotations

import asyncio
import logging
import time
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, compress, islice, pairwise, repeat

from signer.admin.status.loop_lag import LoopLag
from signer.admin.status.process import memory_bytes
from signer.errors import Problem
from signer.telemetry.metrics import Metrics

log = logging.getLogger("oss_signer")
HOUR_SECONDS = 3600.0
SAMPLE_SECONDS = 5.0
POINT_SECONDS = 30.0
POINTS = int(HOUR_SECONDS / POINT_SECONDS)
_COUNTS_SECONDS = 300.0
_QUANTILES = (0.5, 0.99)

SIGNED, REFUSED, FAILED = "signed", "refused", "failed"
"""The kinds of outcomes: refused because of the request or a limit, failed because of this signer or its sources."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The metrics at one moment; the counts are those since the start."""

    at: float
    """By the monotonic clock."""
    signed: float
    refused: float
    failed: float
    durations: array[float]
    queue_depth: float
    memory_bytes: int
    loop_lag_seconds: float


@dataclass(frozen=True, slots=True)
class Point:
    """The difference of two samples about half a minute apart."""

    seconds_ago: float
    signed_per_second: float
    refused_per_second: float
    failed_per_second: float
    median_seconds: float | None
    """None without requests."""
    p99_seconds: float | None
    callback_queue_depth: float
    memory_bytes: int
    event_loop_lag_seconds: float


class History:
    """The samples of the last hour."""

    def __init__(self, metrics: Metrics, loop_lag: LoopLag, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._loop_lag = loop_lag
        self._monotonic = monotonic
        self._bounds: list[float] = []
        self._kinds = {kind: bytearray() for kind in (SIGNED, REFUSED, FAILED)}
        """For each series of signatures, by its index, 1 if it is of that kind."""
        self._samples: deque[Sample] = deque(maxlen=int(HOUR_SECONDS / SAMPLE_SECONDS) + 1)
        self._counts: deque[tuple[float, array[float]]] = deque([(self._monotonic(), array("d"))])
        """All counts every five minutes, in the order of the series: a few megabytes with ten thousand apps."""

    async def follow(self) -> None:
        """Take samples until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.sample)
            except Exception:
                log.exception("sampling failed")
            await asyncio.sleep(SAMPLE_SECONDS)

    def sample(self) -> None:
        """Take one sample; any thread may call it, one at a time."""
        now = self._monotonic()
        series, counts = self._metrics.signature_counts()
        for _, outcome in islice(series, len(self._kinds[SIGNED]), None):
            for kind, flags in self._kinds.items():
                flags.append(outcome_kind(outcome) == kind)
        signed, refused, failed = (sum(compress(counts, flags)) for flags in self._kinds.values())
        durations = self._metrics.duration_counts()
        self._bounds = [bound for bound, _ in durations]
        below = array("d", (count for _, count in durations))
        depth, lag_seconds = self._metrics.queue_depth(), self._loop_lag.max_seconds()
        self._samples.append(Sample(now, signed, refused, failed, below, depth, memory_bytes(), lag_seconds))
        if now - self._counts[-1][0] >= _COUNTS_SECONDS:
            self._counts.append((now, counts))
        while len(self._counts) > 1 and self._counts[1][0] <= now - HOUR_SECONDS:
            self._counts.popleft()

    def apps(self) -> Mapping[str, Counter[str]]:
        """Return the requests of each app in the last hour by kind; "" is for requests without an existing app."""
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        # The order of the series never changes, so an index identifies a series.
        series, counts = self._metrics.signature_counts()
        previous = chain(self._counts[0][1], repeat(0.0))
        for (app, outcome), now, before in zip(series, counts, previous, strict=False):
            if now > before:
                found[app][outcome_kind(outcome)] += int(now - before)
        return found

    def points(self) -> list[Point | None]:
        """Return a point for each half minute of the last hour, oldest first; None where there are no samples."""
        now = self._monotonic()
        points: list[Point | None] = [None] * POINTS
        samples = list(self._samples)
        last_of_each_slot = {int(sample.at // POINT_SECONDS): sample for sample in samples}.values()
        for before, after in pairwise((*samples[:1], *last_of_each_slot)):
            # The index of a slot follows the clock, not its age, so that a curve moves without changing its shape.
            index = POINTS - 1 - (int(now // POINT_SECONDS) - int(after.at // POINT_SECONDS))
            elapsed = after.at - before.at
            if 0 <= index < POINTS and elapsed >= SAMPLE_SECONDS / 2:
                points[index] = self._point(before, after, elapsed, now)
        return points

    def _point(self, before: Sample, after: Sample, elapsed: float, now: float) -> Point:
        below = [late - early for early, late in zip(before.durations, after.durations, strict=True)]
        median, p99 = (quantile(self._bounds, below, share) for share in _QUANTILES)
        return Point(
            seconds_ago=round(now - after.at, 1),
            signed_per_second=round((after.signed - before.signed) / elapsed, 3),
            refused_per_second=round((after.refused - before.refused) / elapsed, 3),
            failed_per_second=round((after.failed - before.failed) / elapsed, 3),
            median_seconds=median,
            p99_seconds=p99,
            callback_queue_depth=after.queue_depth,
            memory_bytes=after.memory_bytes,
            event_loop_lag_seconds=round(after.loop_lag_seconds, 4),
        )


def quantile(bounds: Sequence[float], below: Sequence[float], share: float) -> float | None:
    """Return a quantile of a histogram like PromQL's histogram_quantile: interpolated linearly inside a bucket.

    `below` counts the observations up to each of the bounds, of which the last one is infinite.

    See: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
    """
    wanted = share * below[-1] if below else 0.0
    if wanted <= 0:
        return None
    low, seen = 0.0, 0.0
    for bound, count in zip(bounds, below, strict=True):
        if count >= wanted:
            return low if bound == float("inf") else low + (bound - low) * (wanted - seen) / (count - seen)
        low, seen = bound, count
    return low


@cache
def outcome_kind(outcome: str) -> str:
    """Return the kind of an outcome: failed for the codes of problems with a status of 500 or above."""
    return SIGNED if outcome == SIGNED else FAILED if _is_failure(outcome, Problem) else REFUSED


def _is_failure(code: str, problem: type[Problem]) -> bool:
    if problem.code == code:
        return problem.status >= 500
    return any(_is_failure(code, each) for each in problem.__subclasses__())
