"""So many fetches a second and no more, whatever ends at the same time; roles that hold nothing usable go first.

STS allows an account 100 calls a second, shared with all else that the account runs (notice of 2022-09).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools

FETCHES_PER_SECOND = 8.0
AT_ONCE = 1
"""With these two no second sees more than 9 starts, wherever it begins."""


class FetchPacer:
    """A few may start at once, the others one after another, evenly: what is late by a moment makes no crowd."""

    def __init__(self, per_second: float = FETCHES_PER_SECOND, at_once: int = AT_ONCE) -> None:
        self._interval_seconds = 1 / per_second
        self._at_once = at_once
        self._free_at = 0.0
        """When all that were let go so far have had their interval."""
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, *, urgent: bool) -> None:
        """Returns when the caller may start."""
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (not urgent, next(self._order), future))
        self._let_go()
        await future

    def _let_go(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._waiting and self._free_at - now <= (self._at_once - 1) * self._interval_seconds:
            *_, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
                self._free_at = max(self._free_at, now) + self._interval_seconds
        if self._waiting and self._timer is None:
            self._timer = loop.call_at(self._free_at - (self._at_once - 1) * self._interval_seconds, self._again)

    def _again(self) -> None:
        self._timer = None
        self._let_go()
