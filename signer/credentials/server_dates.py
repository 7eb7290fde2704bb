"""The Date headers of the responses that Alibaba's SDKs receive, collected for the code that called an SDK."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ServerDate:
    """The Date header of one response, and the times of the request and the response by the monotonic clock."""

    server: str
    date: datetime
    requested_at: float
    responded_at: float


_collected: ContextVar[list[ServerDate] | None] = ContextVar("server_dates", default=None)


@contextlib.contextmanager
def collect_server_dates() -> Iterator[list[ServerDate]]:
    """Yield a list that receives the dates of all responses inside the block, of errors too."""
    dates: list[ServerDate] = []
    previous = _collected.set(dates)
    try:
        yield dates
    finally:
        _collected.reset(previous)


def record_server_date(date: ServerDate) -> None:
    """Add a date to the list of the surrounding `collect_server_dates` block, if there is one."""
    dates = _collected.get()
    if dates is not None:
        dates.append(date)
