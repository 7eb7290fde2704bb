"""The history of the last hour, by a clock that the test sets."""

from __future__ import annotations

import tracemalloc

import pytest

from signer.admin.status.history import HOUR_SECONDS, POINT_SECONDS, POINTS, SAMPLE_SECONDS, History, quantile
from signer.admin.status.loop_lag import LoopLag
from signer.telemetry.metrics import Metrics


class Clock:
    """A monotonic clock that only `advance` moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def history(metrics: Metrics, clock: Clock) -> History:
    return History(metrics, LoopLag(), monotonic=clock)


def advance(seconds: float, history: History, clock: Clock) -> None:
    """Move the clock, with a sample every 5 s as in production."""
    for _ in range(int(seconds / SAMPLE_SECONDS)):
        clock.now += SAMPLE_SECONDS
        history.sample()


def test_each_half_minute_has_its_rates_and_latencies(history: History, metrics: Metrics, clock: Clock) -> None:
    history.sample()
    for _ in range(4):
        for _ in range(60):
            metrics.count_signature("a", "signed")
            metrics.observe_request(0.002)
        for _ in range(30):
            metrics.count_signature("a", "too_large")
        for _ in range(15):
            metrics.count_signature("b", "credentials_unavailable")
        advance(POINT_SECONDS, history, clock)
    points = history.points()
    assert len(points) == POINTS
    known = [point for point in points if point is not None]
    assert points[: POINTS - len(known)] == [None] * (POINTS - len(known))
    seen = known[1:4]
    assert [point.signed_per_second for point in seen] == pytest.approx([2.0] * 3)
    assert [point.refused_per_second for point in seen] == pytest.approx([1.0] * 3)
    assert [point.failed_per_second for point in seen] == pytest.approx([0.5] * 3)
    for point in seen:
        assert point.median_seconds is not None
        assert 0.001 < point.median_seconds <= 0.0025
        assert point.memory_bytes > 1_000_000


def test_requests_older_than_an_hour_do_not_count(history: History, metrics: Metrics, clock: Clock) -> None:
    metrics.count_signature("early", "signed")
    history.sample()
    advance(2 * HOUR_SECONDS, history, clock)
    metrics.count_signature("late", "signed")
    metrics.count_signature("late", "rate_limited")
    history.sample()
    assert {app: (counts["signed"], counts["refused"]) for app, counts in history.apps().items()} == {"late": (1, 1)}
    points = history.points()
    assert len(points) == POINTS
    assert None not in points
    advance(2 * HOUR_SECONDS, history, clock)
    assert history.apps() == {}


def test_samples_older_than_an_hour_are_dropped(history: History, metrics: Metrics, clock: Clock) -> None:
    for number in range(1000):
        metrics.count_signature(f"app-{number}", "signed")
    tracemalloc.start()
    try:
        advance(1.5 * HOUR_SECONDS, history, clock)
        before_bytes, _ = tracemalloc.get_traced_memory()
        advance(2 * HOUR_SECONDS, history, clock)
        after_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after_bytes - before_bytes < 50_000


def test_time_without_samples_is_a_gap(history: History, clock: Clock) -> None:
    advance(60, history, clock)
    clock.now += 600
    advance(60, history, clock)
    gap = int(600 / POINT_SECONDS)
    assert history.points().count(None) >= POINTS - 6
    assert history.points()[-gap:].count(None) >= gap - 4


@pytest.mark.parametrize(
    ("below", "share", "expected"),
    [
        ([0, 0, 0], 0.5, None),
        ([10, 10, 10], 0.5, 0.5),
        ([0, 10, 10], 0.5, 1.5),
        ([5, 10, 10], 0.5, 1.0),
        ([0, 0, 10], 0.99, 2.0),
    ],
)
def test_quantiles_are_those_of_promql(below: list[float], share: float, expected: float | None) -> None:
    assert quantile([1.0, 2.0, float("inf")], below, share) == expected
