"""One line for each request, written off the event loop: a request only leaves a note."""

from __future__ import annotations

import logging
import time

from signer.note_writer import NoteWriter
from signer.web.exchange import Exchange

log = logging.getLogger("oss_signer.request")

_MAX_PATH_CHARACTERS = 256

Note = tuple[float, Exchange, int, str | None, float]


class RequestLog:
    """Make it, add to it and close it in one event loop."""

    def __init__(self) -> None:
        self._notes: NoteWriter[Note] = NoteWriter(_lines)

    def add(self, exchange: Exchange, status: int, code: str | None, seconds: float) -> None:
        self._notes.add((time.time(), exchange, status, code, seconds))

    async def close(self) -> None:
        """Writes what is still noted."""
        await self._notes.close()


def _lines(notes: list[Note]) -> None:
    if not log.isEnabledFor(logging.INFO):
        return
    for created, exchange, status, code, seconds in notes:
        request = exchange.request
        record = logging.makeLogRecord(
            {
                "name": log.name,
                "levelno": logging.INFO,
                "levelname": "INFO",
                "msg": "request",
                "request_id": exchange.request_id,
                "method": request.method,
                "path": request.path[:_MAX_PATH_CHARACTERS],
                "app": exchange.app,
                "status": status,
                "code": code,
                "milliseconds": round(seconds * 1000, 2),
                "address": exchange.address,
            }
        )
        record.created = created
        log.handle(record)
