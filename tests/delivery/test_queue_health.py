"""An outage of the queue is logged once at its beginning and end, although some operations succeed meanwhile."""

from __future__ import annotations

import pytest

from signer.delivery.queue_health import QueueHealth


@pytest.fixture
def times() -> list[float]:
    """The time by the clock of the test is the last one."""
    return [1000.0]


@pytest.fixture
def health(times: list[float]) -> QueueHealth:
    return QueueHealth(monotonic=lambda: times[-1])


def test_a_queue_works_at_first(health: QueueHealth, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    health.record_success()
    assert (health.error, caplog.records) == (None, [])


def test_an_outage_has_one_beginning_and_one_end(
    health: QueueHealth, times: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for second in range(20):
        times.append(1000.0 + second)
        health.record_failure("the disk is full")
        health.record_success()
        assert health.error == "the disk is full"
    times.append(1019.0 + 29.9)
    health.record_success()
    assert health.error is not None
    times.append(1019.0 + 30.0)
    health.record_success()
    health.record_success()
    assert health.error is None
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("ERROR", "callback queue unavailable"),
        ("INFO", "callback queue available again"),
    ]
    assert vars(caplog.records[0])["reason"] == "the disk is full"


def test_the_reason_is_the_last_one(health: QueueHealth) -> None:
    health.record_failure("the disk is full")
    health.record_failure("Permission denied")
    assert health.error == "Permission denied"
