"""Parses the whole numbers in queries and headers."""

from __future__ import annotations


def parse_integer(text: str, maximum: int) -> int | None:
    """Return a number of ASCII digits; None if the text is none, or the number exceeds the maximum."""
    digits = text.lstrip("0") or text[:1]
    if not digits.isdecimal() or not digits.isascii() or len(digits) > len(str(maximum)):
        return None
    return int(digits) if int(digits) <= maximum else None
