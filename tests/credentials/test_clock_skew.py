"""How far our clock is off, by what servers say theirs is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from signer.credentials.clock_skew import ClockSkew, ClockState
from signer.credentials.server_dates import DatedAnswer

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clocks:
    """Ours, a monotonic one, and that of a server."""

    def __init__(self) -> None:
        self.ours = START
        self.monotonic_seconds = 1000.0
        self.theirs = START

    def passes(self, seconds: float) -> None:
        self.ours += timedelta(seconds=seconds)
        self.theirs += timedelta(seconds=seconds)
        self.monotonic_seconds += seconds

    def answer(self, *, took_seconds: float = 0.0, server: str = "sts") -> DatedAnswer:
        asked_at = self.monotonic_seconds
        self.passes(took_seconds)
        return DatedAnswer(server, self.theirs.replace(microsecond=0), asked_at, self.monotonic_seconds)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def skew(clocks: Clocks) -> ClockSkew:
    return ClockSkew(now=lambda: clocks.ours, monotonic=lambda: clocks.monotonic_seconds)


def test_nothing_is_wrong_before_anyone_has_answered(skew: ClockSkew) -> None:
    assert (skew.seconds(), skew.state()) == (0.0, ClockState.GOOD)


@pytest.mark.parametrize("took_seconds", [0.0, 0.7, 5.0])
def test_a_slow_answer_is_no_skew(skew: ClockSkew, clocks: Clocks, took_seconds: float) -> None:
    clocks.passes(0.4)
    skew.observe(clocks.answer(took_seconds=took_seconds))
    assert skew.seconds() == 0.0


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [
        (299, ClockState.GOOD),
        (302, ClockState.OFF),
        (839, ClockState.OFF),
        (842, ClockState.WRONG),
        (-302, ClockState.OFF),
    ],
)
def test_the_verdict_follows_the_skew(skew: ClockSkew, clocks: Clocks, ahead: int, verdict: ClockState) -> None:
    clocks.ours += timedelta(seconds=ahead)
    skew.observe(clocks.answer())
    assert skew.seconds() == pytest.approx(ahead, abs=1)
    assert skew.state() is verdict


def test_a_clock_that_is_set_right_is_right_at_once(skew: ClockSkew, clocks: Clocks) -> None:
    """No answer has to come in between: the next may be half an hour away."""
    clocks.ours -= timedelta(minutes=20)
    skew.observe(clocks.answer())
    assert skew.state() is ClockState.WRONG
    clocks.passes(60)
    assert skew.seconds() == pytest.approx(-1200, abs=1)
    clocks.ours += timedelta(minutes=20)
    assert skew.seconds() == 0.0


def test_the_server_furthest_from_us_counts(skew: ClockSkew, clocks: Clocks) -> None:
    skew.observe(clocks.answer(server="metadata"))
    clocks.theirs += timedelta(minutes=6)
    skew.observe(clocks.answer(server="sts"))
    assert skew.seconds() == pytest.approx(-360, abs=1)


def test_the_log_says_once_what_to_do(skew: ClockSkew, clocks: Clocks, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    clocks.ours += timedelta(minutes=20)
    skew.observe(clocks.answer())
    skew.observe(clocks.answer())
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert "1199 s fast" in record.message or "1200 s fast" in record.message
    assert "chrony" in record.message
    clocks.ours -= timedelta(minutes=20)
    skew.observe(clocks.answer())
    assert caplog.records[-1].message == "our clock agrees with the server's again"
