"""The circuit breaker and its delays, with a clock that the test sets."""

from __future__ import annotations

import pytest

from signer.circuit_breaker import CircuitBreaker, backoff_seconds


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def new_breaker(clock: Clock, failure_threshold: int = 3) -> CircuitBreaker:
    return CircuitBreaker(
        failure_threshold=failure_threshold, first_delay_seconds=1.0, max_delay_seconds=8.0, monotonic=clock
    )


def test_delays_double_up_to_the_maximum() -> None:
    delays = [backoff_seconds(failures, first_seconds=0.5, max_seconds=30) for failures in range(1, 10)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert backoff_seconds(10**6, first_seconds=0.5, max_seconds=30) == 30


def test_jitter_spreads_delays_over_its_range() -> None:
    delays = [backoff_seconds(3, first_seconds=1, max_seconds=30, jitter=(0.5, 1)) for _ in range(200)]
    assert 2 <= min(delays) < 2.5
    assert 3.5 < max(delays) <= 4


def test_the_circuit_opens_at_the_threshold_and_closes_on_success(clock: Clock) -> None:
    breaker = new_breaker(clock)
    for _ in range(2):
        breaker.record_failure()
        assert not breaker.is_open
        assert breaker.allow_call()
    breaker.record_failure()
    assert breaker.is_open
    assert not breaker.allow_call()
    breaker.record_success()
    assert not breaker.is_open
    assert breaker.failures == 0
    assert breaker.allow_call()


def test_an_open_circuit_allows_one_trial_per_delay(clock: Clock) -> None:
    breaker = new_breaker(clock, failure_threshold=1)
    assert breaker.record_failure() == 1.0
    assert breaker.is_waiting
    clock.seconds += 1.0
    assert not breaker.is_waiting
    assert [breaker.allow_call() for _ in range(3)] == [True, False, False]
    clock.seconds += 1.0
    assert breaker.allow_call()


def test_each_failed_trial_doubles_the_delay(clock: Clock) -> None:
    breaker = new_breaker(clock, failure_threshold=1)
    assert [breaker.record_failure() for _ in range(5)] == [1, 2, 4, 8, 8]
    clock.seconds += 7.9
    assert not breaker.allow_call()
    clock.seconds += 0.1
    assert breaker.allow_call()


def test_one_delay_may_have_a_lower_maximum(clock: Clock) -> None:
    breaker = new_breaker(clock, failure_threshold=1)
    for _ in range(5):
        breaker.record_failure()
    assert breaker.record_failure(max_delay_seconds=2) == 2
    assert breaker.record_failure() == 8
