"""Numbers, sizes and times as text for people."""

from datetime import datetime, timedelta

_UNITS = ("B", "kB", "MB", "GB", "TB")


def count(value: float) -> str:
    """Return an integer with thousands separators."""
    return f"{int(value):,}"


def part_of(part: int, whole: int) -> str:
    """Return `3 of 50`, or `50` where the part is the whole."""
    return count(whole) if part == whole else f"{count(part)} of {count(whole)}"


def number(value: float) -> str:
    """Return three significant digits."""
    if value == 0 or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.005 else "<0.01"


def milliseconds(seconds: float) -> str:
    """Return a duration in milliseconds."""
    return f"{number(seconds * 1000)} ms"


def size(number_of_bytes: float) -> str:
    """Return a size in its largest unit, `1.5 MB`."""
    value = float(number_of_bytes)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


def duration(length: timedelta) -> str:
    """Return a duration in its two largest units: `3 d 4 h`, `43 min 12 s`."""
    seconds = max(0, int(length.total_seconds()))
    amounts = {"d": seconds // 86400, "h": seconds // 3600 % 24, "min": seconds // 60 % 60, "s": seconds % 60}
    parts = [f"{amount} {unit}" for unit, amount in amounts.items() if amount]
    return " ".join(parts[:2]) or "0 s"


def moment(at: datetime) -> str:
    """Return a UTC time to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
