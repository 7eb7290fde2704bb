"""The queue in Redis, for signers that share one: streams with a consumer group (redis_scripts.py)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from signer.delivery import redis_scripts
from signer.delivery.events import ClaimedEvent, UploadEvent
from signer.delivery.queue import DEFAULT_MAX_EVENTS, CannotOpenQueue, QueueFull, QueueUnavailable

log = logging.getLogger("oss_signer.callbacks")

_PREFIX = "{oss-signer:callbacks}:"
_STEP_SECONDS = 1.0
_DEADLINE_SECONDS = 2.0
_CONNECTIONS = 64
_TIDY_SECONDS = 600.0
_FORGET_SECONDS = 3600.0
_LEAST_VERSION = (6, 2)
"""XAUTOCLAIM."""


class RedisQueue:
    """Connects when it is first used, so that a Redis that is away keeps no signer from starting."""

    def __init__(self, url: str, *, lease_seconds: float, max_events: int = DEFAULT_MAX_EVENTS) -> None:
        """Raises `CannotOpenQueue` for a URL that is none; its text repeats nothing of it."""
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=_CONNECTIONS,
                timeout=_STEP_SECONDS,
                protocol=2,
                socket_timeout=_STEP_SECONDS,
                socket_connect_timeout=_STEP_SECONDS,
                retry=Retry(NoBackoff(), 1),  # one: for a connection that the server has closed meanwhile
            )
        except ValueError:
            raise CannotOpenQueue("the callback queue's URL is none; write redis://host:6379/0") from None
        self._redis: Any = Redis(connection_pool=pool)
        self._consumer = uuid.uuid4().hex
        self._lease_seconds = lease_seconds
        self._most_events = max_events
        self._depth = 0
        self._looked_over = False
        self._tidied_at = time.monotonic()
        self._scripts: dict[str, Any] = {
            name: self._redis.register_script(getattr(redis_scripts, name))
            for name in ("PUT", "TAKE", "DONE", "LATER", "RELEASE", "TIDY")
        }

    async def put(self, event: UploadEvent) -> None:
        record = {"app": event.app, "object": event.object, "at": event.received_at, "body": event.body.decode()}
        text = json.dumps(record, ensure_ascii=False)
        if not await self._run("PUT", event.id, event.app, event.object, text, self._most_events):
            raise QueueFull

    async def take(self, most: int, room: Mapping[str, int], room_for_others: int) -> list[ClaimedEvent]:
        await self._look_over()
        until = time.monotonic() + self._lease_seconds
        rooms = [value for app, free in room.items() for value in (app, max(0, free))]
        self._depth, taken = await self._run("TAKE", self._consumer, self._lease, most, room_for_others, *rooms)
        return [_claim(entry, until) for entry in taken]

    async def done(self, claim: ClaimedEvent) -> None:
        self._depth = await self._end("DONE", claim, claim.event.object) or self._depth

    async def later(self, claim: ClaimedEvent, seconds: float) -> None:
        await self._end("LATER", claim, int(seconds * 1000))

    async def release(self, claim: ClaimedEvent) -> None:
        await self._end("RELEASE", claim)

    def depth(self) -> int:
        return self._depth

    async def close(self) -> None:
        with contextlib.suppress(exceptions.RedisError, OSError):
            await self._redis.aclose()
            await self._redis.connection_pool.disconnect()

    @property
    def _lease(self) -> int:
        return int(self._lease_seconds * 1000)

    async def _end(self, script: str, claim: ClaimedEvent, *arguments: str | int) -> int:
        ended: int = await self._run(script, self._consumer, claim.event.app, claim.holder, claim.event.id, *arguments)
        return ended

    async def _run(self, script: str, *arguments: str | int) -> Any:
        """Raises `QueueUnavailable`, in our words: Redis' own may repeat what was sent."""
        with _errors():
            async with asyncio.timeout(_DEADLINE_SECONDS):
                return await self._scripts[script](keys=[_PREFIX + "events"], args=arguments)

    async def _look_over(self) -> None:
        """Warns once of settings that lose events; tidies up now and then."""
        if not self._looked_over:
            with _errors():
                async with asyncio.timeout(_DEADLINE_SECONDS):
                    for warning in _warnings(await self._info()):
                        log.warning(warning)
            self._looked_over = True
        if time.monotonic() - self._tidied_at > _TIDY_SECONDS:
            self._tidied_at = time.monotonic()
            await self._run("TIDY", int(_FORGET_SECONDS * 1000))

    async def _info(self) -> dict[str, Any]:
        with contextlib.suppress(exceptions.NoPermissionError):
            return dict(await self._redis.info())
        return {}


def _warnings(info: dict[str, Any]) -> Iterator[str]:
    version = str(info.get("redis_version", "")).split(".")
    if version[0].isdecimal() and tuple(map(int, version[:2])) < _LEAST_VERSION:
        yield "the callback queue needs Redis 6.2 or newer"
    if info.get("maxmemory") and info.get("maxmemory_policy") != "noeviction":
        yield "Redis may evict the callback queue; set its maxmemory-policy to noeviction"
    if info.get("aof_enabled") == 0:
        yield "Redis keeps the callback queue in memory only; set its appendonly to yes"


def _claim(entry: list[Any], until: float) -> ClaimedEvent:
    entry_id, event_id, text, failures = entry
    record = json.loads(text)
    event = UploadEvent(event_id.decode(), record["app"], record["object"], record["body"].encode(), record["at"])
    return ClaimedEvent(event, failures, entry_id.decode(), until)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (exceptions.TimeoutError, TimeoutError):
        raise QueueUnavailable("Redis did not answer in time") from None
    except (exceptions.ConnectionError, OSError) as error:
        raise QueueUnavailable(f"Redis cannot be reached ({type(error).__name__})") from None
    except exceptions.RedisError as error:
        code = str(error).partition(" ")[0]
        told = code if code.isalpha() and code.isupper() else type(error).__name__
        raise QueueUnavailable(f"Redis refused ({told})") from None
