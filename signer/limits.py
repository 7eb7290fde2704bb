"""How often forms are given out: token buckets in this process, per app and per caller."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

from cachetools import LRUCache

from signer.errors import RateLimited

_MAX_BUCKETS = 200_000
Rate = tuple[int, int]
"""So many requests in so many seconds."""


class Limiter:
    """Buckets that hold one period's worth of requests and refill steadily; the least used ones are forgotten."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: LRUCache[Hashable, tuple[float, float]] = LRUCache(maxsize=_MAX_BUCKETS)

    def take(self, key: Hashable, rate: Rate) -> None:
        """Takes one request from the bucket of `key`. Raises `RateLimited` with the time until the next is there."""
        limit, seconds = rate
        now = self._now()
        tokens, since = self._buckets.get(key, (float(limit), now))
        tokens = min(float(limit), tokens + (now - since) * limit / seconds)
        if tokens < 1:
            self._buckets[key] = (tokens, now)
            raise RateLimited("too many requests; slow down", retry_after_seconds=(1 - tokens) * seconds / limit)
        self._buckets[key] = (tokens - 1, now)
