"""A service that issues tokens for one key, such as an STS endpoint with an AccessKey: its queue and its circuit.

What fails for one role there often fails for all: no connection, a rejected key, too many calls. Then the roles wait in
the queue, and only one of them is tried about every second, so that an outage costs other issuers no fetches. Roles of
other issuers have queues and circuits of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable
from enum import IntEnum
from math import inf

from signer.circuit_breaker import CircuitBreaker

log = logging.getLogger("oss_signer.credentials")

_ROLES_TO_OPEN = 3
"""How many different roles must fail in a row to open the circuit, so that a broken role does not stop the others."""
_TRIAL_SECONDS = 1.0


class Urgency(IntEnum):
    """What needs the fetch; lower values are first."""

    REQUESTED = 0
    """Requests need the role and it has no usable token, or an operator requested another one."""
    IN_USE = 1
    """Requests have used the current token, which is refreshed in time."""
    RETRIED = 2
    """Requests need the role, but the issuer rejected its last fetch: however many such roles there are, the others are
    first."""
    IDLE = 3
    """No request needs it now."""


Rank = tuple[Urgency, int]
"""The urgency, and minus the binary order of magnitude of the role's requests; lower ranks are first."""


class Turn:
    """A fetch that waits to be started."""

    __slots__ = ("arrival", "issuer", "number", "rank", "started")

    def __init__(self, issuer: Issuer, rank: Rank, arrival: int, started: asyncio.Future[None]) -> None:
        self.issuer = issuer
        self.rank = rank
        self.arrival = arrival
        self.number = 0
        """How many turns of its rank were added before."""
        self.started = started


class Issuer:
    """The fetches that wait for one issuer, those under way, and its circuit."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.error: str | None = None
        """Why the last fetch failed for all roles; None if it did not."""
        self.waiting = 0
        """The number of waiting turns."""
        self._monotonic = monotonic
        self._circuit = CircuitBreaker(
            failure_threshold=_ROLES_TO_OPEN,
            first_delay_seconds=_TRIAL_SECONDS,
            max_delay_seconds=_TRIAL_SECONDS,
            jitter=(0.5, 1.0),
            monotonic=monotonic,
        )
        self._failed: dict[Hashable, Callable[[], None]] = {}
        """By role, what to call when the issuer works again."""
        self._queue: list[tuple[Rank, int, Turn]] = []
        """A heap. An entry whose turn has another rank or does not wait any more is outdated."""
        self._added: Counter[Rank] = Counter()
        """The number of turns of each rank that were added since the start."""
        self._removed: Counter[Rank] = Counter()
        """The number of those that do not wait any more."""
        self._attempts: dict[asyncio.Timeout, float] = {}
        """When each attempt under way started."""

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: only one role at a time is tried."""
        return self._circuit.is_open

    def seconds_until_trial(self) -> float:
        """Return the seconds until a fetch may start, 0.0 while the circuit is closed."""
        return self._circuit.seconds_until_call()

    def push(self, turn: Turn) -> None:
        """Add a waiting turn."""
        self.waiting += 1
        turn.number = self._added[turn.rank]
        self._added[turn.rank] += 1
        heapq.heappush(self._queue, (turn.rank, turn.arrival, turn))

    def discard(self, turn: Turn) -> None:
        """Remove a turn that started, or that is not waited for any more. Its entry in the heap is outdated."""
        self.waiting -= 1
        self._removed[turn.rank] += 1

    def raise_rank(self, turn: Turn, rank: Rank) -> None:
        """Move a waiting turn forward."""
        self.discard(turn)
        turn.rank = rank
        self.push(turn)

    def count_before(self, rank: Rank, turn: Turn | None = None) -> int:
        """Return how many turns are before a turn of this rank, which has not been added if it is None."""
        lower = sum(self._added[each] - self._removed[each] for each in self._added if each < rank)
        number = self._added[rank] if turn is None else turn.number
        return lower + max(number - self._removed[rank], 0)

    def next_rank(self) -> Rank:
        """Return the lowest rank of the turns that wait; there must be one."""
        return min(rank for rank, added in self._added.items() if added > self._removed[rank])

    def next_turn(self) -> Turn:
        """Return the next turn; there must be one.

        While the circuit is open, that is the one that has waited longest: the most urgent role may be a broken one.
        """
        while _is_outdated(self._queue[0]):
            heapq.heappop(self._queue)
        if self.is_open:
            return min((entry for entry in self._queue if not _is_outdated(entry)), key=lambda entry: entry[1])[2]
        return self._queue[0][2]

    def start(self, turn: Turn) -> None:
        """Let the fetch of a turn start."""
        self._circuit.allow_call()
        self.discard(turn)
        turn.started.set_result(None)

    @contextlib.asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """Run a fetch inside the block; raise TimeoutError if the issuer is found to work while the fetch hangs."""
        async with asyncio.timeout(None) as limit:
            self._attempts[limit] = self._monotonic()
            try:
                yield
            finally:
                self._attempts.pop(limit, None)

    def record_success(self, started_at: float) -> None:
        """Close the circuit after an attempt to which the issuer responded, and retry what failed or hangs."""
        self.error = None
        was_open = self.is_open
        self._circuit.record_success()
        failed, self._failed = self._failed, {}
        if not was_open:
            return
        log.info("credential source recovered", extra={"roles_waiting": self.waiting})
        for retry in failed.values():
            retry()
        for limit, attempt_started_at in list(self._attempts.items()):
            if attempt_started_at < started_at:
                del self._attempts[limit]
                limit.reschedule(-inf)

    def record_failure(self, role: Hashable, error: str, retry: Callable[[], None]) -> None:
        """Count a role whose fetch failed for a reason that concerns all roles."""
        self.error = error
        was_open = self.is_open
        if role not in self._failed:
            self._failed[role] = retry
            self._circuit.record_failure()
        if self.is_open and not was_open:
            log.error("credential source unavailable", extra={"error": error, "roles_waiting": self.waiting})


def _is_outdated(entry: tuple[Rank, int, Turn]) -> bool:
    rank, _, turn = entry
    return turn.rank != rank or turn.started.done()
