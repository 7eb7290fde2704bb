"""Token buckets in this process."""

from __future__ import annotations

import pytest

from signer.errors import RateLimited
from signer.limits.local_limiter import LocalLimiter
from signer.limits.token_bucket import Limit

A, B = Limit("a", (30, 60)), Limit("b", (30, 60))


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


async def test_a_bucket_holds_one_period_and_refills_steadily() -> None:
    clock = Clock()
    limiter = LocalLimiter(now=clock)
    for _ in range(30):
        await limiter.acquire([A])
    with pytest.raises(RateLimited) as raised:
        await limiter.acquire([A])
    assert raised.value.retry_after_seconds == 2
    await limiter.acquire([B])
    clock.seconds += 2
    await limiter.acquire([A])
    with pytest.raises(RateLimited):
        await limiter.acquire([A])
    clock.seconds += 3600
    for _ in range(30):
        await limiter.acquire([A])
    with pytest.raises(RateLimited):
        await limiter.acquire([A])


async def test_a_request_over_one_limit_uses_no_tokens_of_the_others() -> None:
    limiter = LocalLimiter(now=Clock())
    shared = Limit("app", (3, 60))
    greedy, modest = Limit("greedy", (1, 60)), Limit("modest", (10, 60))
    await limiter.acquire([greedy, shared])
    for _ in range(5):
        with pytest.raises(RateLimited):
            await limiter.acquire([greedy, shared])
    await limiter.acquire([modest, shared])
    await limiter.acquire([modest, shared])
    with pytest.raises(RateLimited):
        await limiter.acquire([modest, shared])


async def test_the_allowance_is_that_of_the_tightest_limit() -> None:
    limiter = LocalLimiter(now=Clock())
    allowance = await limiter.acquire([Limit("wide", (100, 60)), Limit("tight", (5, 60))])
    assert allowance.headers() == {"RateLimit-Limit": "5", "RateLimit-Remaining": "4", "RateLimit-Reset": "12"}
    for _ in range(4):
        await limiter.acquire([Limit("tight", (5, 60))])
    with pytest.raises(RateLimited) as raised:
        await limiter.acquire([Limit("wide", (100, 60)), Limit("tight", (5, 60))])
    assert raised.value.headers["RateLimit-Remaining"] == "0"
    assert raised.value.retry_after_seconds == 12
