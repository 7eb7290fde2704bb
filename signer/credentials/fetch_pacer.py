"""Limits how many tokens are fetched per second; roles without a usable token go first.

STS allows an account 100 calls per second, shared with everything else that the account runs.

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerole
"""

import asyncio
import heapq
import itertools

FETCHES_PER_SECOND = 8.0
BURST = 1
"""With this burst no second has more than 9 fetches, wherever it starts."""


class FetchPacer:
    """Lets a burst of fetches start at once, and the others one after another at even intervals."""

    def __init__(self, per_second: float = FETCHES_PER_SECOND, burst: int = BURST) -> None:
        self._interval_seconds = 1 / per_second
        self._burst_seconds = (burst - 1) * self._interval_seconds
        self._next_free_at = 0.0
        """When all fetches that started have used their interval, in the time of the event loop."""
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []
        """A heap: urgent fetches first, then in the order of their arrival."""
        self._arrivals = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, *, urgent: bool) -> None:
        """Return when the caller may start its fetch."""
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (not urgent, next(self._arrivals), future))
        self._start_due()
        await future

    def _start_due(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._waiting and self._next_free_at - now <= self._burst_seconds:
            *_, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
                self._next_free_at = max(self._next_free_at, now) + self._interval_seconds
        if self._waiting and self._timer is None:
            self._timer = loop.call_at(self._next_free_at - self._burst_seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._start_due()
