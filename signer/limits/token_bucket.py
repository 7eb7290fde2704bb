"""The token bucket: limits, what remains of them, and the refusal of a request over the limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from math import ceil
from typing import Protocol

from signer.errors import RateLimited

Rate = tuple[int, int]
"""Requests, and the seconds in which they are allowed: the bucket holds that many and refills evenly."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One bucket: requests with the same key share it."""

    key: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class Allowance:
    """What remains of a limit after a request."""

    limit: int
    remaining: int
    reset_seconds: int
    """Until the bucket is full again."""

    def headers(self) -> dict[str, str]:
        """Return the response headers for clients.

        See: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-07
        """
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }


class Limiter(Protocol):
    """Counts requests against limits."""

    async def acquire(self, limits: Sequence[Limit], *, allow_when_unavailable: bool) -> Allowance:
        """Take one token from each bucket, or raise `RateLimited` and take none if one of them is empty.

        Return what remains of the limit with the fewest tokens. When a shared store is unavailable, count in this
        process if `allow_when_unavailable`.
        """

    async def close(self) -> None: ...


def allowance(rate: Rate, tokens: float) -> Allowance:
    """Return what remains of a limit whose bucket holds this many tokens."""
    limit, seconds = rate
    return Allowance(limit, max(0, int(tokens)), ceil((limit - tokens) * seconds / limit))


def rate_limited(rate: Rate, tokens: float) -> RateLimited:
    """Return the refusal for a bucket that holds less than one token."""
    limit, seconds = rate
    delay_seconds = (1 - tokens) * seconds / limit
    problem = RateLimited(
        "too many requests; retry after the seconds in Retry-After", retry_after_seconds=delay_seconds
    )
    problem.headers.update(allowance(rate, tokens).headers())
    return problem


@lru_cache(maxsize=4096)
def address_bucket(address: str) -> str:
    """Return what an address is counted by: itself, or its /64, since a client can use any IPv6 address of that.

    See: https://www.rfc-editor.org/rfc/rfc6177#section-2
    """
    if ":" not in address:
        return address
    return f"{IPv6Address(int(IPv6Address(address.partition('%')[0])) >> 64 << 64)}/64"
