"""What a limit is, and what is told of it. A bucket holds one period's worth of requests and refills steadily."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from signer.errors import RateLimited

Rate = tuple[int, int]
"""So many requests in so many seconds."""


@dataclass(frozen=True, slots=True)
class Limit:
    key: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of the limit that has least left."""

    limit: int
    remaining: int
    reset_seconds: int
    """Until the bucket is full again."""

    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers-07 names them."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }


class Limiter(Protocol):
    async def acquire(self, limits: Sequence[Limit], *, allow_when_unavailable: bool) -> Allowance:
        """Takes one request from each bucket, or from none and raises `RateLimited`."""
        ...

    async def close(self) -> None: ...


def allowance(rate: Rate, tokens: float) -> Allowance:
    limit, seconds = rate
    return Allowance(limit, max(0, int(tokens)), ceil((limit - tokens) * seconds / limit))


def refusal(rate: Rate, tokens: float) -> RateLimited:
    limit, seconds = rate
    problem = RateLimited("too many requests; slow down", retry_after_seconds=(1 - tokens) * seconds / limit)
    problem.headers.update(allowance(rate, tokens).headers())
    return problem
