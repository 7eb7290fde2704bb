"""The current time, and times as text."""

from datetime import UTC, datetime
from functools import lru_cache


def utc_now() -> datetime:
    """Return the current time, with the time zone UTC."""
    return datetime.now(UTC)


@lru_cache(maxsize=64)
def rfc3339(moment: datetime) -> str:
    """Return a UTC time as text, in whole seconds.

    See: https://www.rfc-editor.org/rfc/rfc3339
    """
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
