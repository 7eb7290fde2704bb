"""One line for each request, written off the event loop: a request only leaves a note."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from signer.web.exchange import Exchange

log = logging.getLogger("oss_signer.request")

_EVERY_SECONDS = 0.1
_MAX_PATH_CHARACTERS = 256


class RequestLog:
    """Make it, add to it and close it in one event loop."""

    def __init__(self) -> None:
        self._notes: list[dict[str, Any]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None

    def add(self, exchange: Exchange, status: int, code: str | None, seconds: float) -> None:
        request = exchange.request
        self._notes.append(
            {
                "created": time.time(),
                "request_id": exchange.request_id,
                "method": request.method,
                "path": request.path[:_MAX_PATH_CHARACTERS],
                "app": exchange.app,
                "status": status,
                "code": code,
                "milliseconds": round(seconds * 1000, 2),
                "address": request.remote,
            }
        )
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY_SECONDS, self._write)

    def _write(self) -> None:
        self._timer = None
        if self._writing is not None and not self._writing.done():
            self._timer = asyncio.get_running_loop().call_later(_EVERY_SECONDS, self._write)
            return
        notes, self._notes = self._notes, []
        self._writing = asyncio.get_running_loop().run_in_executor(None, _lines, notes)

    async def close(self) -> None:
        """Writes what is still noted."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        await asyncio.to_thread(_lines, self._notes)
        self._notes = []


def _lines(notes: list[dict[str, Any]]) -> None:
    for note in notes:
        created = note.pop("created")
        record = log.makeRecord(log.name, logging.INFO, "", 0, "request", (), None, extra=note)
        record.created = created
        if log.isEnabledFor(logging.INFO):
            log.handle(record)
