"""Decides which credential is fetched next, and when: the most urgent first, at the pace that the account allows.

STS allows an account 100 calls per second, shared with everything else that the account runs.

See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerole
"""

import asyncio
import itertools
from math import inf

from signer.credentials.issuer import Issuer, Rank, Turn, Urgency

ACCOUNT_CALLS_PER_SECOND = 100
"""What STS allows an account."""
_BURST = 100
"""How many fetches that requests need may start faster than the worker's share of the pace."""


class FetchPacer:
    """Starts fetches at even intervals.

    Fetches that requests need may start at up to `peak_per_second`, until a burst is used up. All others start only
    when the burst is unused, so that it is there when requests need it.
    """

    def __init__(self, per_second: float, *, peak_per_second: float = inf, burst: int = 1) -> None:
        self._interval_seconds = 1 / per_second
        self._min_gap_seconds = 1 / peak_per_second
        self._burst_seconds = (burst - 1) * self._interval_seconds
        self._paid_until = -inf
        """When all fetches that started have used their interval, in the time of the event loop."""
        self._last_started_at = -inf
        self._arrivals = itertools.count()
        self._issuers: dict[Issuer, None] = {}
        """Those with waiting turns."""
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def for_worker(
        cls, machine_per_second: float, workers: int, *, account_per_second: float = ACCOUNT_CALLS_PER_SECOND
    ) -> "FetchPacer":
        """Return the pacer of one of several workers, which share the pace of the machine.

        After an outage each worker needs its own tokens. So for a burst it may use the whole pace of the machine, as
        long as all workers together stay below what is left to them of what STS allows the account.
        """
        peak = min(machine_per_second, account_per_second / workers)
        share = machine_per_second / workers
        return cls(share, peak_per_second=max(peak, share), burst=_BURST)

    @property
    def waiting(self) -> int:
        """The number of fetches that wait; safe in any thread."""
        return sum(issuer.waiting for issuer in tuple(self._issuers))

    def queue(self, issuer: Issuer, rank: Rank) -> Turn:
        """Add a fetch; await `wait` with the result."""
        turn = Turn(issuer, rank, next(self._arrivals), asyncio.get_running_loop().create_future())
        issuer.push(turn)
        self._issuers[issuer] = None
        self.start_due()
        return turn

    async def queue_and_wait(self, issuer: Issuer) -> None:
        """Return when a fetch that is as urgent as all others may start."""
        await self.wait(self.queue(issuer, (Urgency.REQUESTED, 0)))

    async def wait(self, turn: Turn) -> None:
        """Return when the fetch may start."""
        try:
            await turn.started
        finally:
            if turn.started.cancelled():
                turn.issuer.discard(turn)

    def raise_rank(self, turn: Turn, rank: Rank) -> None:
        """Move a waiting fetch forward, unless its rank is already as low."""
        if rank < turn.rank and not turn.started.done():
            turn.issuer.raise_rank(turn, rank)
            self.start_due()

    def seconds_until_start(self, issuer: Issuer, rank: Rank, turn: Turn | None = None) -> float:
        """Return when a fetch of this rank starts, if nothing more urgent is added and the issuer responds.

        Args:
            turn: the place of the fetch in the queue; None if it is not there yet.
        """
        others = (each for each in self._issuers if each is not issuer and not each.seconds_until_trial())
        before = issuer.count_before(rank, turn) + sum(each.count_before(rank) for each in others)
        now = asyncio.get_running_loop().time()
        seconds = max(
            self._last_started_at + self._min_gap_seconds * (before + 1) - now,
            self._pays_from(rank) + self._interval_seconds * before - now,
        )
        return issuer.seconds_until_trial() + max(seconds, 0.0)

    def start_due(self) -> None:
        """Start the fetches that are due; call it after the circuit of an issuer has changed."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while due_by_issuer := self._due_times(now := loop.time()):
            turns = [issuer.next_turn() for issuer, due_at in due_by_issuer.items() if due_at <= now]
            if not turns:
                self._timer = loop.call_at(min(due_by_issuer.values()), self.start_due)
                return
            turn = min(turns, key=lambda turn: (turn.rank, turn.arrival))
            turn.issuer.start(turn)
            self._last_started_at = now
            self._paid_until = max(self._paid_until, now) + self._interval_seconds

    def _due_times(self, now: float) -> dict[Issuer, float]:
        """Return when the next fetch of each issuer may start."""
        for issuer in [each for each in self._issuers if not each.waiting]:
            del self._issuers[issuer]
        gap_ends_at = self._last_started_at + self._min_gap_seconds
        return {
            issuer: max(gap_ends_at, self._pays_from(issuer.next_rank()), now + issuer.seconds_until_trial())
            for issuer in self._issuers
        }

    def _pays_from(self, rank: Rank) -> float:
        """Return when the pace allows a fetch of this rank."""
        return self._paid_until - (self._burst_seconds if rank[0] <= Urgency.IN_USE else 0.0)
