"""So many fetches a second and no more, whatever ends at the same time; roles that hold nothing usable go first.

STS allows an account 100 calls a second, shared with all else that the account runs (notice of 2022-09).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque

FETCHES_PER_SECOND = 8


class Pacer:
    def __init__(self, most: int = FETCHES_PER_SECOND, seconds: float = 1.0) -> None:
        self._most = most
        self._seconds = seconds
        self._starts: deque[float] = deque()
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, *, urgent: bool) -> None:
        """Returns when the caller may start."""
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (not urgent, next(self._order), future))
        self._let_go()
        await future

    def _let_go(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._starts and self._starts[0] <= now - self._seconds:
            self._starts.popleft()
        while self._waiting and len(self._starts) < self._most:
            *_, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
                self._starts.append(now)
        if self._waiting and self._timer is None:
            self._timer = loop.call_at(self._starts[0] + self._seconds, self._again)

    def _again(self) -> None:
        self._timer = None
        self._let_go()
