"""Parse and format durations, sizes, rates and counts: `15m`, `10MiB`, `30/m`, `10,000 apps`."""

import re
from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "B": 1, "KB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
_NUMBER = "(?:0|[1-9][0-9]{0,%d})"
DURATION_PATTERN = f"^{_NUMBER % 8}[smhd]?$"
SIZE_PATTERN = f"^{_NUMBER % 14} ?(?:B|[KMG]i?B)?$"
RATE_PATTERN = "^[1-9][0-9]{0,8}/[smhd]$"
BYTE_RATE_PATTERN = "^[1-9][0-9]{0,4} ?(?:B|[KMG]i?B)/[smhd]$"

_DURATION = re.compile(DURATION_PATTERN)
_SIZE = re.compile(SIZE_PATTERN)
_RATE = re.compile(RATE_PATTERN)
_BYTE_RATE = re.compile(BYTE_RATE_PATTERN)
_PARTS = re.compile(r"([0-9]+) ?([A-Za-z]*)\Z")

# What people write instead, for suggestions only.
_FRACTION = re.compile(r"([0-9]{1,6}\.[0-9]{1,3}) ?([A-Za-z]{0,3})\Z")
_SPOKEN = re.compile(r"([0-9]{1,6}) *(s|m|h|d)[a-z]*\Z", re.IGNORECASE)
_CLOCK = re.compile(r"([0-9]{1,4}):([0-5][0-9])\Z")
_SHORT_SIZE = re.compile(r"([0-9]{1,6}) *([kmg])(?:ilo|ega|iga)?(i?)(?:b|bytes?)?\Z", re.IGNORECASE)
_SPOKEN_RATE = re.compile(r"([0-9]{1,6}) *(?:/|per|r/) *([smhd])[a-z]*\Z", re.IGNORECASE)
_SPOKEN_BYTE_RATE = re.compile(
    r"([1-9][0-9]{0,4}) *([kmg])(i?)(b?(?:ytes?)?) *(?:/|per) *([smhd])[a-z]*\Z", re.IGNORECASE
)
_LEADING_ZERO = re.compile(r"0[0-9_]+\Z|0[ox][0-9a-f]+\Z", re.IGNORECASE)
_OCTAL = "write it without the leading 0, which means octal to some YAML parsers"


def parse_duration(value: object) -> timedelta:
    """Return the duration of a text such as `90s`, `15m`, `3h` or `1d`, or of whole seconds, or raise `ValueError`."""
    if isinstance(value, timedelta):
        return value
    text = _text(value)
    if not _DURATION.fullmatch(text):
        raise ValueError("not a duration; " + (_fix_duration(text) or "write 90s, 15m, 3h or whole seconds"))
    number, unit = _parts(text)
    return timedelta(seconds=number * _SECONDS[unit or "s"])


def parse_size(value: object) -> int:
    """Return the bytes of a text such as `512KiB`, `10MiB` or `5GB`, or of a number of bytes, or raise `ValueError`."""
    text = _text(value)
    if not _SIZE.fullmatch(text):
        raise ValueError("not a size; " + (_fix_size(text) or "write 512KiB, 10MiB, 5GB or whole bytes"))
    number, unit = _parts(text)
    return number * _BYTES[unit]


def parse_rate(value: object) -> tuple[int, int]:
    """Return the requests and the seconds of a text such as `100/s`, `30/m`, `5/h` or `1/d`, or raise `ValueError`."""
    text = value if isinstance(value, str) else ""
    if not _RATE.fullmatch(text):
        spoken = _SPOKEN_RATE.fullmatch(text)
        corrected = f"{int(spoken[1])}/{spoken[2].lower()}" if spoken and int(spoken[1]) else "100/s, 30/m or 5/h"
        raise ValueError(f"not a rate; write {corrected}")
    number, _, unit = text.partition("/")
    return int(number), _SECONDS[unit]


def parse_byte_rate(value: object) -> tuple[int, int]:
    """Return the bytes and the seconds of a text such as `500MiB/d` or `2GiB/h`, or raise `ValueError`."""
    text = value if isinstance(value, str) else ""
    if not _BYTE_RATE.fullmatch(text):
        raise ValueError("not a rate of bytes; " + (_fix_byte_rate(text) or "write 500MiB/d, 2GiB/h or 100MB/m"))
    size, _, unit = text.partition("/")
    return parse_size(size), _SECONDS[unit]


def format_rate(rate: tuple[int, int]) -> str:
    """Return a rate as it is written in YAML, such as `30/m`."""
    number, seconds = rate
    return f"{number}/{next(unit for unit, length in _SECONDS.items() if length == seconds)}"


def _text(value: object) -> str:
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def _parts(text: str) -> tuple[int, str]:
    match = _PARTS.match(text)
    assert match is not None
    return int(match[1]), match[2]


def _fix_duration(text: str) -> str | None:
    if _LEADING_ZERO.match(text):
        return _OCTAL
    if clock := _CLOCK.match(text):
        seconds = int(clock[1]) * 60 + int(clock[2])
        return f"write {seconds}s for minutes:seconds, or {seconds}m for hours:minutes"
    if (fraction := _FRACTION.match(text)) and (whole := _without_fraction(fraction, _SECONDS, ("s", "m", "h", "d"))):
        return f"write {whole}, without a fraction"
    if spoken := _SPOKEN.match(text):
        if spoken[2] + text[spoken.end(2) :] in ("ms", "M", "mo", "month", "months"):
            return None
        return f"write {int(spoken[1])}{spoken[2].lower()}"
    return None


def _fix_size(text: str) -> str | None:
    if _LEADING_ZERO.match(text):
        return _OCTAL
    if (fraction := _FRACTION.match(text)) and (whole := _without_fraction(fraction, _BYTES, tuple(_BYTES)[1:])):
        return f"write {whole}, without a fraction"
    if short := _SHORT_SIZE.fullmatch(text):
        number, unit = int(short[1]), short[2].upper()
        if short[3] or "b" in text.lower():
            return f"write {number}{unit}{'i' if short[3] else ''}B"
        binary, decimal = f"{number}{unit}iB", f"{number}{unit}B"
        return f"write {binary} ({parse_size(binary):,} bytes) or {decimal} ({parse_size(decimal):,} bytes)"
    return None


def _fix_byte_rate(text: str) -> str | None:
    if (spoken := _SPOKEN_BYTE_RATE.fullmatch(text)) is None:
        return None
    number, unit, is_decimal = int(spoken[1]), spoken[2].upper(), not spoken[3] and "b" in spoken[4].lower()
    return f"write {number}{unit}{'' if is_decimal else 'i'}B/{spoken[5].lower()}"


def _without_fraction(match: re.Match[str], units: Mapping[str, int], order: tuple[str, ...]) -> str | None:
    """Return `1.5h` as `90m`, in the largest unit without a fraction."""
    if match[2] and match[2] not in units:
        return None
    amount = Fraction(match[1]) * units.get(match[2], 1)
    same_kind = [unit for unit in order if ("i" in unit) == ("i" in match[2]) or units[unit] == 1]
    for unit in sorted(same_kind, key=lambda unit: units[unit], reverse=True):
        whole = amount / units[unit]
        if whole.denominator == 1 and whole:
            return f"{whole.numerator}{unit}"
    return None


def format_duration(duration: timedelta) -> str:
    """Return the shortest exact form, like `1h` or `90s`."""
    seconds = int(duration.total_seconds())
    for unit in "dhm":
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


def format_size(size_bytes: int) -> str:
    """Return the shortest exact form, like `20MiB`, `5GB` or `1000`."""
    for unit in list(_BYTES)[:1:-1]:
        if size_bytes and size_bytes % _BYTES[unit] == 0:
            return f"{size_bytes // _BYTES[unit]}{unit}"
    return str(size_bytes)


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun, like `1 app` or `10,000 apps`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
