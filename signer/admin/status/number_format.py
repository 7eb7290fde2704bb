"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta

_UNITS = ("B", "kB", "MB", "GB", "TB")


def count(value: float) -> str:
    return f"{int(value):,}"


def number(value: float) -> str:
    """Three digits that count."""
    if value == 0 or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.005 else "<0.01"


def milliseconds(seconds: float) -> str:
    return f"{number(seconds * 1000)} ms"


def size(number_of_bytes: float) -> str:
    value = float(number_of_bytes)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


def span(length: timedelta) -> str:
    """Of its two largest units: `3 d 4 h`, `43 min 12 s`."""
    seconds = max(0, int(length.total_seconds()))
    parts = [
        f"{amount} {unit}"
        for amount, unit in (
            (seconds // 86400, "d"),
            (seconds // 3600 % 24, "h"),
            (seconds // 60 % 60, "min"),
            (seconds % 60, "s"),
        )
        if amount
    ]
    return " ".join(parts[:2]) or "0 s"


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
