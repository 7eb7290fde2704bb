"""Token buckets in Redis, shared by all signers with the same `limits: redis://...`: one Lua call per request."""

import logging
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from signer.circuit_breaker import CircuitBreaker
from signer.errors import RateLimited
from signer.limits.local_limiter import LocalLimiter
from signer.limits.token_bucket import Allowance, Limit, allowance, rate_limited
from signer.redis_errors import RedisUnavailable, run_command

log = logging.getLogger("oss_signer.limits")

_PREFIX = "oss-signer:limit:"
_TIMEOUT_SECONDS = 0.1
_TRIAL_SECONDS = 1.0
"""After a failure one request in this time is tried at Redis, so that a dead Redis delays no other request."""

# The time is that of Redis: the clocks of the signers do not matter. A bucket expires when it is full again: only
# clients of the last moments cost memory, not all clients of a day.
_ACQUIRE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local remaining = {}
local tightest
for index, key in ipairs(KEYS) do
    local capacity, seconds = tonumber(ARGV[2 * index - 1]), tonumber(ARGV[2 * index])
    local bucket = redis.call('HMGET', key, 'tokens', 'since')
    local tokens = tonumber(bucket[1]) or capacity
    local since = tonumber(bucket[2]) or now
    tokens = math.min(capacity, tokens + math.max(0, now - since) * capacity / seconds)
    if tokens < 1 then
        return {0, index, tostring(tokens)}
    end
    remaining[index] = tokens - 1
    if tightest == nil or remaining[index] < remaining[tightest] then
        tightest = index
    end
end
for index, key in ipairs(KEYS) do
    redis.call('HSET', key, 'tokens', tostring(remaining[index]), 'since', string.format('%.6f', now))
    local capacity, seconds = tonumber(ARGV[2 * index - 1]), tonumber(ARGV[2 * index])
    redis.call('PEXPIRE', key, math.ceil((capacity - remaining[index]) * seconds * 1000 / capacity))
end
return {1, tightest, tostring(remaining[tightest])}
"""


class RedisLimiter:
    """Counts requests in Redis. While Redis is unavailable, each app counts in this process or rejects requests."""

    def __init__(self, url: str) -> None:
        self._redis: Any = Redis.from_url(
            url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS, max_connections=64
        )
        self._acquire_script = self._redis.register_script(_ACQUIRE)
        self._local = LocalLimiter()
        self._breaker = CircuitBreaker(
            failure_threshold=1, first_delay_seconds=_TRIAL_SECONDS, max_delay_seconds=_TRIAL_SECONDS
        )

    async def acquire(self, limits: Sequence[Limit], *, allow_when_unavailable: bool) -> Allowance:
        if self._breaker.allow_call():
            try:
                return await self._acquire_in_redis(limits)
            except RedisUnavailable as error:
                if not self._breaker.is_open:
                    log.warning("rate limits in Redis unavailable", extra={"reason": str(error)})
                self._breaker.record_failure()
        if not allow_when_unavailable:
            detail = "rate limits cannot be checked right now; retry after the seconds in Retry-After"
            raise RateLimited(detail, retry_after_seconds=_TRIAL_SECONDS)
        return await self._local.acquire(limits)

    async def _acquire_in_redis(self, limits: Sequence[Limit]) -> Allowance:
        keys = [_PREFIX + limit.key for limit in limits]
        arguments = [number for limit in limits for number in limit.rate]
        allowed, index, tokens = await run_command(
            self._acquire_script(keys=keys, args=arguments), deadline_seconds=_TIMEOUT_SECONDS
        )
        if self._breaker.is_open:
            log.info("rate limits in Redis available again")
            self._breaker.record_success()
        rate = limits[int(index) - 1].rate
        if not allowed:
            raise rate_limited(rate, float(tokens))
        return allowance(rate, float(tokens))

    async def close(self) -> None:
        await self._redis.aclose()
