"""Token buckets in Redis, shared by all signers with the same `limits: redis://...`: one Lua call per request."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from signer.errors import RateLimited
from signer.limits.local_limiter import LocalLimiter
from signer.limits.token_bucket import Allowance, Limit, allowance
from signer.redis_client import RedisClient
from signer.redis_errors import RedisUnavailable
from signer.redis_url import parse_redis_url

log = logging.getLogger("oss_signer.limits")

_PREFIX = "oss-signer:limit:"
_DEADLINE_SECONDS = 1.0
_TRIAL_SECONDS = 1.0
"""The interval between trials while Redis is unavailable."""
_TRIAL = (Limit("trial", (1_000_000, 1)),)
_MAX_BATCH = 128

# The time is that of Redis: the clocks of the signers do not matter. A bucket expires when it is full again: only
# clients of the last moments cost memory, not all clients of a day. A key that is no bucket is replaced by a full one.
_ACQUIRE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local available, numbers = {}, {}
local granted = tonumber(ARGV[1])
for index, key in ipairs(KEYS) do
    local capacity, seconds = tonumber(ARGV[3 * index - 1]), tonumber(ARGV[3 * index])
    local cost = tonumber(ARGV[3 * index + 1])
    local bucket = redis.pcall('HMGET', key, 'tokens', 'since')
    if bucket.err then
        redis.call('DEL', key)
        bucket = {}
    end
    local tokens = tonumber(bucket[1]) or capacity
    local since = tonumber(bucket[2]) or now
    available[index] = math.min(capacity, tokens + math.max(0, now - since) * capacity / seconds)
    numbers[index] = {capacity, seconds, cost}
    if cost > 0 then
        granted = math.min(granted, math.floor(available[index] / cost))
    end
end
local outcome = {granted}
for index, key in ipairs(KEYS) do
    local capacity, seconds, cost = unpack(numbers[index])
    local tokens = available[index] - granted * cost
    outcome[index + 1] = string.format('%.17g', tokens)
    if granted > 0 then
        redis.call('HSET', key, 'tokens', outcome[index + 1], 'since', string.format('%.6f', now))
        redis.call('PEXPIRE', key, math.ceil((capacity - tokens) * seconds * 1000 / capacity))
    end
end
return outcome
"""

_Outcome = list[Any]
"""How many times the limits allow the request, and the tokens that each bucket holds now."""


@dataclass(frozen=True, slots=True)
class _Request:
    limits: Sequence[Limit]
    count: int
    outcome: asyncio.Future[_Outcome | None]
    """None if Redis is unavailable."""


class RedisLimiter:
    """Counts in Redis. While Redis is unavailable, each app counts in this process or rejects requests.

    Requests that arrive while Redis works on others wait, and are then sent together: however many there are, one
    connection is enough. Only the requests that meet the beginning of an outage wait for Redis until the deadline;
    afterwards a trial in the background detects when it is available again.
    """

    def __init__(self, url: str) -> None:
        self._client = RedisClient(parse_redis_url(url), max_connections=1)
        self._local = LocalLimiter()
        self.error: str | None = None
        self._waiting: deque[_Request] = deque()
        self._sender: asyncio.Task[None] | None = None

    async def acquire(self, limits: Sequence[Limit], *, allow_when_unavailable: bool, count: int = 1) -> Allowance:
        if self.error is None:
            request = _Request(limits, count, asyncio.get_running_loop().create_future())
            self._waiting.append(request)
            if self._sender is None or self._sender.done():
                self._sender = asyncio.create_task(self._send(), name="count requests in Redis")
            outcome = await request.outcome
            if outcome is not None:
                return _allowance(limits, outcome)
        if not allow_when_unavailable:
            detail = "rate limits cannot be checked right now; retry after the seconds in Retry-After"
            raise RateLimited(detail, retry_after_seconds=_TRIAL_SECONDS)
        return await self._local.acquire(limits, count=count)

    async def close(self) -> None:
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        await self._client.close()

    async def _send(self) -> None:
        """Send all that waits; after a failure, send a trial now and then until Redis is available again."""
        while self._waiting or self.error is not None:
            if self.error is not None:
                await asyncio.sleep(_TRIAL_SECONDS)
            batch = [self._waiting.popleft() for _ in range(min(_MAX_BATCH, len(self._waiting)))]
            outcomes = await self._evaluate([(request.limits, request.count) for request in batch] or [(_TRIAL, 1)])
            if outcomes is None:
                batch += self._waiting
                self._waiting.clear()
            for index, request in enumerate(batch):
                if not request.outcome.done():
                    request.outcome.set_result(None if outcomes is None else outcomes[index])

    async def _evaluate(self, batch: Sequence[tuple[Sequence[Limit], int]]) -> Sequence[_Outcome] | None:
        """Return the outcome for each request, or None if Redis is unavailable."""

        async def evaluate(redis: Redis) -> list[_Outcome]:
            pipeline = redis.pipeline(transaction=False)
            for limits, count in batch:
                keys = [_PREFIX + limit.key for limit in limits]
                # The whole script each time: SCRIPT LOAD and EVALSHA would take another round trip.
                numbers = (number for limit in limits for number in (*limit.rate, limit.cost))
                pipeline.eval(_ACQUIRE, len(keys), *keys, count, *numbers)
            outcomes = await pipeline.execute(raise_on_error=False)
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
            return outcomes

        try:
            outcomes = await self._client.run(evaluate, deadline_seconds=_DEADLINE_SECONDS)
        except RedisUnavailable as error:
            self._record_failure(str(error))
            return None
        except Exception as error:
            # The requests must not wait forever, whatever the client raises.
            self._record_failure(type(error).__name__)
            return None
        if self.error is not None:
            log.info("rate limits in Redis available again")
        self.error = None
        return outcomes

    def _record_failure(self, reason: str) -> None:
        if self.error is None:
            log.warning("rate limits in Redis unavailable", extra={"reason": reason})
        self.error = reason


def _allowance(limits: Sequence[Limit], outcome: _Outcome) -> Allowance:
    granted, *tokens = outcome
    return allowance(limits, [float(each) for each in tokens], granted)
