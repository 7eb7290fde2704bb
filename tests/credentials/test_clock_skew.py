"""The clock skew, with clocks that the test controls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from signer.credentials.clock_skew import ClockSkew, ClockState, ServerDate

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clocks:
    """Our wall clock, our monotonic clock, and the wall clock of a server."""

    def __init__(self) -> None:
        self.ours = START
        self.monotonic_seconds = 1000.0
        self.theirs = START

    def advance(self, seconds: float) -> None:
        self.ours += timedelta(seconds=seconds)
        self.theirs += timedelta(seconds=seconds)
        self.monotonic_seconds += seconds

    def response(self, *, duration_seconds: float = 0.0, server: str = "sts") -> ServerDate:
        requested_at = self.monotonic_seconds
        self.advance(duration_seconds)
        return ServerDate(server, self.theirs.replace(microsecond=0), requested_at, self.monotonic_seconds)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def skew(clocks: Clocks) -> ClockSkew:
    return ClockSkew(wall_clock=lambda: clocks.ours.timestamp(), monotonic=lambda: clocks.monotonic_seconds)


def test_there_is_no_skew_before_the_first_response(skew: ClockSkew) -> None:
    assert (skew.seconds(), skew.state()) == (0.0, ClockState.GOOD)


@pytest.mark.parametrize("duration_seconds", [0.0, 0.7, 5.0])
def test_a_slow_response_is_no_skew(skew: ClockSkew, clocks: Clocks, duration_seconds: float) -> None:
    clocks.advance(0.4)
    skew.observe(clocks.response(duration_seconds=duration_seconds))
    assert skew.seconds() == 0.0


@pytest.mark.parametrize(
    ("ahead", "state"),
    [
        (299, ClockState.GOOD),
        (302, ClockState.OFF),
        (839, ClockState.OFF),
        (842, ClockState.WRONG),
        (-302, ClockState.OFF),
    ],
)
def test_the_state_depends_on_the_skew(skew: ClockSkew, clocks: Clocks, ahead: int, state: ClockState) -> None:
    clocks.ours += timedelta(seconds=ahead)
    skew.observe(clocks.response())
    assert skew.seconds() == pytest.approx(ahead, abs=1)
    assert skew.state() is state


def test_a_corrected_clock_is_good_at_once(skew: ClockSkew, clocks: Clocks) -> None:
    """Without another response: the next one may be half an hour away."""
    clocks.ours -= timedelta(minutes=20)
    skew.observe(clocks.response())
    assert skew.state() is ClockState.WRONG
    clocks.advance(60)
    assert skew.seconds() == pytest.approx(-1200, abs=1)
    clocks.ours += timedelta(minutes=20)
    assert skew.seconds() == 0.0


def test_the_server_that_differs_most_counts(skew: ClockSkew, clocks: Clocks) -> None:
    skew.observe(clocks.response(server="metadata"))
    clocks.theirs += timedelta(minutes=6)
    skew.observe(clocks.response(server="sts"))
    assert skew.seconds() == pytest.approx(-360, abs=1)


def test_a_change_of_the_state_is_logged_once(
    skew: ClockSkew, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    clocks.ours += timedelta(minutes=20)
    skew.observe(clocks.response())
    skew.observe(clocks.response())
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert record.message == "clock skew detected"
    assert record.__dict__["clock_skew_seconds"] == pytest.approx(1200, abs=1)
    assert "chrony" in record.__dict__["fix"]
    clocks.ours -= timedelta(minutes=20)
    skew.observe(clocks.response())
    assert caplog.records[-1].message == "clock skew resolved"
