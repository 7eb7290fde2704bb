"""How long the event loop lets a timer wait: what blocks it shows here, whichever request it was."""

from __future__ import annotations

import asyncio
import time
from collections import deque

_EVERY_SECONDS = 0.25
_WINDOW_SECONDS = 15.0


class LoopLag:
    def __init__(self) -> None:
        self._late: deque[tuple[float, float]] = deque(maxlen=int(_WINDOW_SECONDS / _EVERY_SECONDS))

    async def watch(self) -> None:
        """Runs until it is cancelled."""
        while True:
            due = time.monotonic() + _EVERY_SECONDS
            await asyncio.sleep(_EVERY_SECONDS)
            now = time.monotonic()
            self._late.append((now, max(0.0, now - due)))

    def worst_seconds(self) -> float:
        """Of the last 15 s; any thread may ask."""
        since = time.monotonic() - _WINDOW_SECONDS
        return max((late for at, late in list(self._late) if at >= since), default=0.0)
