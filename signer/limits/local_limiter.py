"""Token buckets in this process."""

import time
from collections.abc import Callable, Sequence

from cachetools import LRUCache

from signer.limits.token_bucket import Allowance, Limit, allowance

_MAX_BUCKETS = 200_000


class LocalLimiter:
    """Counts in this process; when there are too many buckets, the least recently used ones are dropped."""

    error = None

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(maxsize=_MAX_BUCKETS)
        """Tokens, and when they were counted, by key."""

    async def acquire(
        self, limits: Sequence[Limit], *, allow_when_unavailable: bool = True, count: int = 1
    ) -> Allowance:
        now = self._now()
        tokens = [self._tokens(limit, now) for limit in limits]
        granted = count
        for limit, available in zip(limits, tokens, strict=True):
            if limit.cost > 0:
                granted = min(granted, int(available // limit.cost))
        if granted:
            for index, limit in enumerate(limits):
                tokens[index] -= granted * limit.cost
                self._buckets[limit.key] = (tokens[index], now)
        return allowance(limits, tokens, granted)

    def _tokens(self, limit: Limit, now: float) -> float:
        capacity, seconds = limit.rate
        tokens, counted_at = self._buckets.get(limit.key, (float(capacity), now))
        return min(float(capacity), tokens + (now - counted_at) * capacity / seconds)

    async def close(self) -> None: ...
