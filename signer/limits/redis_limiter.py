"""Buckets in Redis, shared by all signers that name it (`limits: redis://...`): one Lua call a request.

Redis' own clock is used, so that the signers' clocks do not matter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import redis.asyncio
import redis.exceptions

from signer.circuit_breaker import CircuitBreaker
from signer.errors import RateLimited
from signer.limits.local_limiter import LocalLimiter
from signer.limits.token_bucket import Allowance, Limit, allowance, refusal

log = logging.getLogger("oss_signer.limits")

_PREFIX = "oss-signer:limit:"
_TIMEOUT_SECONDS = 0.1
_TRIAL_SECONDS = 1.0
"""After a failure one request in this time is tried at Redis, so that a dead Redis delays no other request."""

_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local held = {}
local least
for index, key in ipairs(KEYS) do
    local most, seconds = tonumber(ARGV[2 * index - 1]), tonumber(ARGV[2 * index])
    local bucket = redis.call('HMGET', key, 'tokens', 'since')
    local tokens = tonumber(bucket[1]) or most
    local since = tonumber(bucket[2]) or now
    tokens = math.min(most, tokens + math.max(0, now - since) * most / seconds)
    if tokens < 1 then
        return {0, index, tostring(tokens)}
    end
    held[index] = tokens - 1
    if least == nil or held[index] < held[least] then
        least = index
    end
end
for index, key in ipairs(KEYS) do
    redis.call('HSET', key, 'tokens', tostring(held[index]), 'since', string.format('%.6f', now))
    redis.call('PEXPIRE', key, math.ceil(tonumber(ARGV[2 * index]) * 1000) + 1000)
end
return {1, least, tostring(held[least])}
"""


class RedisLimiter:
    def __init__(self, url: str) -> None:
        self._redis: Any = redis.asyncio.Redis.from_url(
            url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS, max_connections=64
        )
        self._take = self._redis.register_script(_TAKE)
        self._local = LocalLimiter()
        self._breaker = CircuitBreaker(
            failure_threshold=1, first_delay_seconds=_TRIAL_SECONDS, max_delay_seconds=_TRIAL_SECONDS
        )

    async def acquire(self, limits: Sequence[Limit], *, allow_when_unavailable: bool) -> Allowance:
        """When Redis is gone the app chooses: `open` goes on with this process's own buckets, closed refuses."""
        if not self._breaker.allow_call():
            return await self._without(limits, allow_when_unavailable=allow_when_unavailable)
        keys = [_PREFIX + limit.key for limit in limits]
        arguments = [number for limit in limits for number in limit.rate]
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                taken, index, tokens = await self._take(keys=keys, args=arguments)
        except (redis.exceptions.RedisError, TimeoutError, OSError) as error:
            if not self._breaker.is_open:
                log.warning("Redis cannot be asked for limits", extra={"reason": type(error).__name__})
            self._breaker.record_failure()
            return await self._without(limits, allow_when_unavailable=allow_when_unavailable)
        self._breaker.record_success()
        rate = limits[int(index) - 1].rate
        if not taken:
            raise refusal(rate, float(tokens))
        return allowance(rate, float(tokens))

    async def _without(self, limits: Sequence[Limit], *, allow_when_unavailable: bool) -> Allowance:
        if not allow_when_unavailable:
            raise RateLimited("limits cannot be checked right now; try again shortly", retry_after_seconds=1)
        return await self._local.acquire(limits)

    async def close(self) -> None:
        await self._redis.aclose()
