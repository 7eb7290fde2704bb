"""Buckets in this process; the least used ones are forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from cachetools import LRUCache

from signer.limits.token_bucket import Allowance, Limit, allowance, refusal

_MAX_BUCKETS = 200_000


class LocalLimiter:
    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(maxsize=_MAX_BUCKETS)

    async def acquire(self, limits: Sequence[Limit], *, allow_when_unavailable: bool = True) -> Allowance:
        now = self._now()
        held = [self._tokens(limit, now) for limit in limits]
        for limit, tokens in zip(limits, held, strict=True):
            if tokens < 1:
                raise refusal(limit.rate, tokens)
        for limit, tokens in zip(limits, held, strict=True):
            self._buckets[limit.key] = (tokens - 1, now)
        return min(
            (allowance(limit.rate, tokens - 1) for limit, tokens in zip(limits, held, strict=True)),
            key=lambda each: each.remaining,
        )

    def _tokens(self, limit: Limit, now: float) -> float:
        most, seconds = limit.rate
        tokens, since = self._buckets.get(limit.key, (float(most), now))
        return min(float(most), tokens + (now - since) * most / seconds)

    async def close(self) -> None: ...
