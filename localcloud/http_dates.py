"""Formats and parses the dates of HTTP headers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def http_date(iso_text: str) -> str:
    return datetime.fromisoformat(iso_text).astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def parse_http_date(text: str) -> datetime | None:
    """Return the time in UTC; None if it is no date, or none that Python can represent."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
