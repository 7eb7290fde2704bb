"""Which failures count against an event, and how many events a failing server gets; by a clock of the test."""

from __future__ import annotations

import pytest

from signer.delivery.app_server import MAX_IN_FLIGHT_PER_SERVER, AppServer, FailedAttempt
from signer.delivery.rejections import MAX_REJECTED_SECONDS, MAX_REJECTIONS, Rejections, add_rejection

REJECTED = FailedAttempt("status 400", is_rejection=True)
FAILED = FailedAttempt("status 503")
HOUR = 3600.0


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> AppServer:
    return AppServer("http://app.example.com/", first_retry_seconds=1.0, monotonic=clock)


@pytest.mark.parametrize(("seconds", "counts"), [(0.0, True), (299.9, True), (300.1, False)])
def test_a_rejection_counts_against_the_event_while_the_server_has_accepted_recently(
    server: AppServer, clock: Clock, seconds: float, counts: bool
) -> None:
    server.record_acceptance()
    clock.seconds += seconds
    assert server.record_failure(REJECTED) is counts
    assert server.is_failing is not counts


def test_a_rejection_counts_against_a_server_that_has_accepted_nothing(server: AppServer) -> None:
    assert not server.record_failure(REJECTED)
    assert server.is_failing


def test_another_failure_always_counts_against_the_server(server: AppServer) -> None:
    server.record_acceptance()
    assert not server.record_failure(FAILED)
    assert server.is_failing


def test_rejected_events_use_no_slots_of_others(server: AppServer) -> None:
    server.record_acceptance()
    for _ in range(100):
        server.record_failure(REJECTED)
    assert server.free_slots() == MAX_IN_FLIGHT_PER_SERVER


@pytest.mark.parametrize(("failure", "max_delay_seconds", "trials"), [(FAILED, 36.0, 1), (REJECTED, 1.2, 4)])
def test_a_server_that_keeps_failing_gets_few_events(
    server: AppServer, clock: Clock, failure: FailedAttempt, max_delay_seconds: float, trials: int
) -> None:
    """One that rejects events responds, so that it gets the next ones soon."""
    for _ in range(20):
        server.record_failure(failure)
    assert server.free_slots() == 0
    clock.seconds += max_delay_seconds
    assert server.free_slots() == trials
    server.in_flight = 1
    assert server.free_slots() == 0
    assert server.record_acceptance()
    assert server.free_slots() == MAX_IN_FLIGHT_PER_SERVER - 1


def test_a_server_is_forgotten_once_its_state_is_that_of_a_new_one(server: AppServer, clock: Clock) -> None:
    assert server.is_as_new
    server.record_acceptance()
    assert not server.is_as_new
    clock.seconds += 301
    assert server.is_as_new
    server.record_failure(FAILED)
    assert not server.is_as_new


def rejections(times: list[float]) -> Rejections:
    """Return what is stored after rejections at these times."""
    found = None
    for each in times:
        found = add_rejection(found, each)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("times", "are_final"),
    [
        pytest.param([HOUR], False, id="one"),
        pytest.param([60.0 * number for number in range(MAX_REJECTIONS - 1)], False, id="less than the maximum"),
        pytest.param([60.0 * number for number in range(MAX_REJECTIONS)], True, id="the maximum"),
        pytest.param([5 * HOUR * number for number in range(5)], False, id="less than a day"),
        pytest.param([5 * HOUR * number for number in range(6)], True, id="more than a day"),
        pytest.param([0.0, MAX_REJECTED_SECONDS + 1], False, id="a day in which the server accepted nothing"),
        pytest.param([7 * HOUR * number for number in range(30)], False, id="a server that rarely accepts anything"),
        pytest.param([9 * HOUR, 8 * HOUR], False, id="a clock that was set back"),
    ],
)
def test_rejections_are_final_after_many_attempts_or_a_day(times: list[float], are_final: bool) -> None:
    assert rejections(times).are_final is are_final
