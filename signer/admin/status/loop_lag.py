"""Measure the event loop's lag: how late it runs a timer while some code blocks it."""

import asyncio
import time
from collections import deque

_INTERVAL_SECONDS = 0.25
_WINDOW_SECONDS = 15.0


class LoopLag:
    """The delays of a timer in the last 15 s."""

    def __init__(self) -> None:
        self._delays: deque[tuple[float, float]] = deque(maxlen=int(_WINDOW_SECONDS / _INTERVAL_SECONDS))

    async def measure(self) -> None:
        """Run the timer until cancelled."""
        while True:
            due_at = time.monotonic() + _INTERVAL_SECONDS
            await asyncio.sleep(_INTERVAL_SECONDS)
            now = time.monotonic()
            self._delays.append((now, max(0.0, now - due_at)))

    def max_seconds(self) -> float:
        """Return the longest delay; any thread may call it."""
        since = time.monotonic() - _WINDOW_SECONDS
        return max((delay for at, delay in list(self._delays) if at >= since), default=0.0)
