"""Durations, sizes and rates as people write them: `15m`, `10MiB`, `30/m`."""

from __future__ import annotations

import re
from datetime import timedelta

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip
_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15}) ?(B|[KMG]i?B)?", re.ASCII)
_RATE = re.compile(r"([0-9]{1,9})/([smhd])", re.ASCII)


def parse_duration(value: object) -> timedelta:
    """`90s`, `15m`, `3h`, `1d`, or whole seconds. Raises ValueError with the mend."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(str(value)) if isinstance(value, int | str) and value is not True else None
    if match is None:
        raise ValueError("is no duration; write 90s, 15m, 3h or a whole number of seconds")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2] or "s"])


def parse_size(value: object) -> int:
    """`512KiB`, `10MiB`, `5GB`, or bytes. Raises ValueError with the mend."""
    match = _SIZE.fullmatch(str(value)) if isinstance(value, int | str) and value is not True else None
    if match is None:
        raise ValueError("is no size; write 512KiB, 10MiB, 5GB or a whole number of bytes")
    return int(match[1]) * _BYTES[match[2] or ""]


def parse_rate(value: object) -> tuple[int, int]:
    """`100/s` as (100 requests, 1 second); also per m, h, d. Raises ValueError with the mend."""
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError("is no rate; write 100/s, 30/m or 1000/h")
    return int(match[1]), _SECONDS[match[2]]


def format_duration(duration: timedelta) -> str:
    """The shortest exact way to write it: `1h`, `90s`."""
    seconds = int(duration.total_seconds())
    for unit in "dhm":
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"
