"""The token bucket: limits of requests and of bytes, what remains of them, and the refusal of what exceeds one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from math import ceil
from typing import Protocol

from signer.errors import Problem, QuotaExceeded, RateLimited

Rate = tuple[int, int]
"""Requests or bytes, and the seconds in which they are allowed: the bucket holds that many and refills evenly."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One bucket, and how much a request takes from it. Requests with the same key share it."""

    key: str
    rate: Rate
    cost: int = 1
    """How many tokens to take; at most the bucket's capacity. A negative number gives tokens back."""
    policy: str = ""
    """The name of the limit in the headers, where they name it."""
    is_bytes: bool = False
    """Whether a token is a byte of a file."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a request got, and what remains of the limit of requests with the fewest tokens."""

    rate: Rate | None
    """None: only bytes are limited."""
    tokens: float
    """What the bucket holds; less than 1 if it granted fewer than requested."""
    granted: int = 1
    """How many times the request may be carried out."""
    policies: Sequence[tuple[Limit, float]] = ()
    """All limits and the tokens of their buckets, where bytes are limited."""

    @property
    def remaining(self) -> int:
        return max(0, int(self.tokens))

    def refusal(self, number: int = 1) -> Problem:
        """Return the refusal of the request that needs the token with this number, counted from 1, of those to come."""
        assert self.rate is not None, "only requests are counted one by one"
        return _too_many_requests(self.rate, self.tokens, number)

    def headers(self) -> dict[str, str]:
        """Return the response headers for clients: those of the tightest limit, and two of all limits with bytes.

        See: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-07
        See: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10
        """
        if self.rate is None:
            return _policy_headers(self.policies)
        headers = {
            "RateLimit-Limit": str(self.rate[0]),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(_reset_seconds(self.rate, self.tokens)),
        }
        return {**headers, **_policy_headers(self.policies)} if self.policies else headers


class Limiter(Protocol):
    """Counts requests and bytes against limits."""

    @property
    def error(self) -> str | None:
        """Why a shared store is unavailable; None if it counts, or if there is none."""

    async def acquire(self, limits: Sequence[Limit], *, allow_when_unavailable: bool, count: int = 1) -> Allowance:
        """Take the cost of each limit from its bucket, as many times as all buckets allow, and at most `count` times.

        Take nothing and raise the refusal if a bucket has too few tokens for one time. When a shared store is
        unavailable, count in this process if `allow_when_unavailable`.

        Raises:
            RateLimited: a limit of requests is exceeded, or the limits cannot be checked.
            QuotaExceeded: a limit of bytes is exceeded.
        """

    async def close(self) -> None: ...


def allowance(limits: Sequence[Limit], tokens: Sequence[float], granted: int) -> Allowance:
    """Return what a request got from buckets that hold these tokens now; raise the refusal if it got nothing."""
    if not granted:
        # Before the longest wait, a retry would be refused again.
        raise max((_refusal(*each) for each in zip(limits, tokens, strict=True)), key=lambda each: each[0])[1]
    counted = [(available, limit.rate) for limit, available in zip(limits, tokens, strict=True) if not limit.is_bytes]
    fewest, rate = min(counted) if counted else (0.0, None)
    policies = () if len(counted) == len(limits) else tuple(zip(limits, tokens, strict=True))
    return Allowance(rate, fewest, granted, policies)


def _refusal(limit: Limit, tokens: float) -> tuple[float, Problem]:
    """Return the time until a bucket holds enough tokens in seconds, and the refusal until then."""
    capacity, seconds = limit.rate
    delay_seconds = (limit.cost - tokens) * seconds / capacity
    if not limit.is_bytes:
        return delay_seconds, _too_many_requests(limit.rate, tokens, limit.cost)
    detail = (
        f"the file has {limit.cost} bytes, and {int(tokens)} of this app's limit of bytes are left; "
        "retry after the seconds in Retry-After, or upload a smaller file"
    )
    headers = _policy_headers([(limit, tokens)])
    return delay_seconds, QuotaExceeded(detail, retry_after_seconds=delay_seconds, headers=headers)


def _too_many_requests(rate: Rate, tokens: float, number: int) -> RateLimited:
    detail = "too many requests; retry after the seconds in Retry-After"
    delay_seconds = (number - tokens) * rate[1] / rate[0]
    return RateLimited(detail, retry_after_seconds=delay_seconds, headers=Allowance(rate, tokens).headers())


def _reset_seconds(rate: Rate, tokens: float) -> int:
    """Return the time until the bucket is full again."""
    capacity, seconds = rate
    return max(0, ceil((capacity - tokens) * seconds / capacity))


def _policy_headers(limits: Sequence[tuple[Limit, float]]) -> dict[str, str]:
    policies, states = [], []
    for limit, tokens in limits:
        capacity, seconds = limit.rate
        unit = ';qu="content-bytes"' if limit.is_bytes else ""
        policies.append(f'"{limit.policy}";q={capacity}{unit};w={seconds}')
        states.append(f'"{limit.policy}";r={max(0, int(tokens))};t={_reset_seconds(limit.rate, tokens)}')
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}


@lru_cache(maxsize=4096)
def address_bucket(address: str) -> str:
    """Return what an address is counted by: itself, or its /64, since a client can use any IPv6 address of that.

    See: https://www.rfc-editor.org/rfc/rfc6177#section-2
    """
    if ":" not in address:
        return address
    return f"{IPv6Address(int(IPv6Address(address.partition('%')[0])) >> 64 << 64)}/64"
