"""Token buckets in this process."""

from __future__ import annotations

import pytest

from signer.errors import QuotaExceeded, RateLimited
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


def upload(size_bytes: int) -> list[Limit]:
    """Return the limits of an upload: 3 requests in a minute, and 100 bytes in 1000 seconds."""
    quota = Limit("bytes", (100, 1000), cost=size_bytes, policy="caller-bytes", is_bytes=True)
    return [Limit("caller", (3, 60), policy="caller"), quota]


async def test_bytes_refill_steadily() -> None:
    clock = Clock()
    limiter = LocalLimiter(now=clock)
    await limiter.acquire(upload(100))
    with pytest.raises(QuotaExceeded) as raised:
        await limiter.acquire(upload(30))
    assert raised.value.retry_after_seconds == 300
    clock.seconds += 299
    with pytest.raises(QuotaExceeded):
        await limiter.acquire(upload(30))
    clock.seconds += 1
    await limiter.acquire(upload(30))


async def test_a_file_over_the_quota_uses_neither_bytes_nor_a_request() -> None:
    limiter = LocalLimiter(now=Clock())
    await limiter.acquire(upload(40))
    for _ in range(5):
        with pytest.raises(QuotaExceeded):
            await limiter.acquire(upload(61))
    await limiter.acquire(upload(59))
    await limiter.acquire(upload(1))
    with pytest.raises(RateLimited):
        await limiter.acquire(upload(0))


async def test_too_many_requests_use_no_bytes() -> None:
    limiter = LocalLimiter(now=Clock())
    for _ in range(3):
        await limiter.acquire(upload(10))
    for _ in range(3):
        with pytest.raises(RateLimited):
            await limiter.acquire(upload(10))
    assert (await limiter.acquire([upload(70)[1]])).rate is None


async def test_the_refusal_is_that_of_the_longest_wait() -> None:
    limiter = LocalLimiter(now=Clock())
    for size_bytes in (98, 1, 1):
        await limiter.acquire(upload(size_bytes))
    with pytest.raises(RateLimited, match="too many requests") as raised:
        await limiter.acquire(upload(1))
    assert raised.value.retry_after_seconds == 20
    with pytest.raises(QuotaExceeded) as refused:
        await limiter.acquire(upload(50))
    assert refused.value.retry_after_seconds == 500


async def test_bytes_that_are_given_back_never_exceed_the_quota() -> None:
    limiter = LocalLimiter(now=Clock())
    for _ in range(3):
        await limiter.acquire([upload(60)[1]])
        await limiter.acquire([upload(-60)[1]])
    await limiter.acquire([upload(-100)[1]])
    await limiter.acquire([upload(100)[1]])
    with pytest.raises(QuotaExceeded):
        await limiter.acquire([upload(1)[1]])


async def test_headers_name_all_limits_where_bytes_are_limited() -> None:
    limiter = LocalLimiter(now=Clock())
    policies = {"RateLimit-Policy": '"caller";q=3;w=60, "caller-bytes";q=100;qu="content-bytes";w=1000'}
    assert (await limiter.acquire(upload(30))).headers() == {
        "RateLimit-Limit": "3",
        "RateLimit-Remaining": "2",
        "RateLimit-Reset": "20",
        **policies,
        "RateLimit": '"caller";r=2;t=20, "caller-bytes";r=70;t=300',
    }
    with pytest.raises(QuotaExceeded) as raised:
        await limiter.acquire(upload(71))
    assert raised.value.headers == {
        "RateLimit-Policy": '"caller-bytes";q=100;qu="content-bytes";w=1000',
        "RateLimit": '"caller-bytes";r=70;t=300',
    }


async def test_several_requests_get_as_many_as_the_limits_allow() -> None:
    limiter = LocalLimiter(now=Clock())
    limits = [Limit("wide", (100, 60)), Limit("tight", (5, 60))]
    assert (await limiter.acquire(limits, count=3)).granted == 3
    rest = await limiter.acquire(limits, count=9)
    assert (rest.granted, rest.remaining) == (2, 0)
    assert rest.refusal(2).retry_after_seconds == 24
    with pytest.raises(RateLimited):
        await limiter.acquire(limits, count=9)
