"""Numbers, sizes and times as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from signer.admin.status import number_format


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.001, "<0.01"), (0.005, "0.01"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (12345, "12,345")],
)
def test_a_number_has_three_digits(value: float, text: str) -> None:
    assert number_format.number(value) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (20_000_000, "20 MB"), (3e12, "3.0 TB"), (5e16, "50000 TB")],
)
def test_a_size_is_in_its_largest_unit(size_bytes: float, text: str) -> None:
    assert number_format.size(size_bytes) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(), "0 s"),
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=43, seconds=12), "43 min 12 s"),
        (timedelta(days=3, hours=4, minutes=5), "3 d 4 h"),
        (timedelta(days=2, seconds=1), "2 d 1 s"),
    ],
)
def test_a_duration_is_in_its_two_largest_units(length: timedelta, text: str) -> None:
    assert number_format.duration(length) == text


def test_a_moment_is_in_utc() -> None:
    assert number_format.moment(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02 03:04:05 UTC"


def test_milliseconds_and_parts() -> None:
    assert number_format.milliseconds(0.0123) == "12.3 ms"
    assert (number_format.part_of(3, 1234), number_format.part_of(50, 50)) == ("3 of 1,234", "50")
