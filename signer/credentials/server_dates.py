"""The Date of each answer that Alibaba's SDKs get, noted for whoever asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DatedAnswer:
    """What a server's clock said, and when by our monotonic clock (seconds) it was asked and had answered."""

    server: str
    date: datetime
    asked_at: float
    answered_at: float


_notes: ContextVar[list[DatedAnswer] | None] = ContextVar("dated_answers", default=None)


@contextlib.contextmanager
def noting_dates() -> Iterator[list[DatedAnswer]]:
    """Collects the dates of the answers that the SDKs get inside the block, refusals too."""
    notes: list[DatedAnswer] = []
    before = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(before)


def notes() -> list[DatedAnswer] | None:
    """Where the block around us collects them; None outside of any."""
    return _notes.get()
