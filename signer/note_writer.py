"""Notes that requests leave, written by a thread a moment later: a slow disk or terminal holds up no request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger("oss_signer")

N = TypeVar("N")

_EVERY_SECONDS = 0.01
_MOST = 500_000
"""So many notes wait at most, should what they are written to hang; what comes then is lost, and counted."""


class NoteWriter(Generic[N]):
    """Make it, add to it and close it in one event loop."""

    def __init__(self, write: Callable[[list[N]], None]) -> None:
        """`write` is called in a thread, never twice at once."""
        self._write = write
        self._notes: list[N] = []
        self._lost = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None

    def add(self, note: N) -> None:
        if len(self._notes) >= _MOST:
            self._lost += 1
            return
        self._notes.append(note)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY_SECONDS, self._begin)

    def _begin(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        if self._writing is not None and not self._writing.done():
            self._timer = loop.call_later(_EVERY_SECONDS, self._begin)
            return
        if self._lost:
            log.error("notes were lost, since they could not be written fast enough", extra={"notes": self._lost})
            self._lost = 0
        notes, self._notes = self._notes, []
        self._writing = loop.run_in_executor(None, self._try, notes)

    def _try(self, notes: list[N]) -> None:
        try:
            self._write(notes)
        except OSError as error:
            log.error("notes cannot be written", extra={"notes": len(notes), "reason": str(error)})

    async def close(self) -> None:
        """Writes what is still noted."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        notes, self._notes = self._notes, []
        await asyncio.to_thread(self._try, notes)
