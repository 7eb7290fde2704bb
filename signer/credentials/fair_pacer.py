"""Starts the fetches of temporary credentials at even intervals, for one app after the other.

A crowd of callers of one app delays those of another app by one fetch at a time, and an app whose STS hangs has only a
few fetches under way.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from math import inf

_MAX_PARALLEL = 8
"""How many fetches of one lane may be under way."""


@dataclass(slots=True)
class _Lane:
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    running: int = 0

    @property
    def can_start(self) -> bool:
        return bool(self.waiting) and self.running < _MAX_PARALLEL


class FairPacer:
    """Starts the fetches of all lanes, one every `1 / per_second` seconds; the lanes take turns."""

    def __init__(self, per_second: float) -> None:
        self.waiting = 0
        """The number of fetches that wait; safe in any thread."""
        self._interval_seconds = 1 / per_second
        self._next_start_at = -inf
        """In the time of the event loop."""
        self._lanes: OrderedDict[Hashable, _Lane] = OrderedDict()
        """Those with fetches that wait or are under way; the next one is first."""
        self._timer: asyncio.TimerHandle | None = None

    def seconds_until_start(self, name: Hashable) -> float:
        """Return how long a new fetch of a lane would wait, if the fetches under way end soon."""
        lane = self._lanes.get(name)
        rounds = 0 if lane is None else len(lane.waiting)
        before = sum(min(len(each.waiting), rounds + 1) for each in self._lanes.values() if each is not lane) + rounds
        return max(0.0, self._next_start_at - asyncio.get_running_loop().time()) + before * self._interval_seconds

    def queue(self, name: Hashable) -> "LaneTurn":
        """Add a fetch of a lane; wait for its turn with `async with`. A turn that is not entered never ends."""
        lane = self._lanes.setdefault(name, _Lane())
        turn = LaneTurn(self, name, asyncio.get_running_loop().create_future())
        lane.waiting.append(turn.started)
        self.waiting += 1
        self._start_due()
        return turn

    def end(self, name: Hashable, started: asyncio.Future[None]) -> None:
        """End a fetch that is under way, or that does not wait any more."""
        lane = self._lanes[name]
        if started in lane.waiting:
            lane.waiting.remove(started)
            self.waiting -= 1
        else:
            lane.running -= 1
        if not lane.waiting and not lane.running:
            del self._lanes[name]
        self._start_due()

    def _start_due(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while (name := next((name for name, lane in self._lanes.items() if lane.can_start), None)) is not None:
            now = loop.time()
            if now < self._next_start_at:
                self._timer = loop.call_at(self._next_start_at, self._start_due)
                return
            self._next_start_at = now + self._interval_seconds
            self._lanes.move_to_end(name)
            lane = self._lanes[name]
            lane.running += 1
            self.waiting -= 1
            started = lane.waiting.popleft()
            if not started.cancelled():
                started.set_result(None)


@dataclass(frozen=True, slots=True)
class LaneTurn:
    """The place of one fetch in its lane. Entering it waits for its start; the fetch is under way until it is left."""

    pacer: FairPacer
    name: Hashable
    started: asyncio.Future[None]

    async def __aenter__(self) -> None:
        try:
            await self.started
        except asyncio.CancelledError:
            self.pacer.end(self.name, self.started)
            raise

    async def __aexit__(self, *_error: object) -> None:
        self.pacer.end(self.name, self.started)
