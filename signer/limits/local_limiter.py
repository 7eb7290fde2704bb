"""Token buckets in this process."""

import time
from collections.abc import Callable, Sequence

from cachetools import LRUCache

from signer.limits.token_bucket import Allowance, Limit, allowance, rate_limited

_MAX_BUCKETS = 200_000


class LocalLimiter:
    """Counts requests in this process; when there are too many buckets, the least recently used ones are dropped."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(maxsize=_MAX_BUCKETS)
        """Tokens, and when they were counted, by key."""

    async def acquire(self, limits: Sequence[Limit], *, allow_when_unavailable: bool = True) -> Allowance:
        now = self._now()
        remaining = [self._tokens(limit, now) - 1 for limit in limits]
        for limit, tokens in zip(limits, remaining, strict=True):
            if tokens < 0:
                raise rate_limited(limit.rate, tokens + 1)
        for limit, tokens in zip(limits, remaining, strict=True):
            self._buckets[limit.key] = (tokens, now)
        fewest, rate = min((tokens, limit.rate) for limit, tokens in zip(limits, remaining, strict=True))
        return allowance(rate, fewest)

    def _tokens(self, limit: Limit, now: float) -> float:
        capacity, seconds = limit.rate
        tokens, counted_at = self._buckets.get(limit.key, (float(capacity), now))
        return min(float(capacity), tokens + (now - counted_at) * capacity / seconds)

    async def close(self) -> None: ...
