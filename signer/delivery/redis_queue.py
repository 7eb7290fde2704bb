"""The queue in Redis, for signers on several machines: streams with a consumer group (see redis_queue.lua)."""

import contextlib
import json
import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from signer.delivery.queue import (
    DEFAULT_MAX_EVENTS,
    CannotOpenQueue,
    ClaimedEvent,
    QueueFull,
    QueueUnavailable,
    UploadEvent,
)
from signer.redis_client import RedisClient
from signer.redis_errors import RedisPermissionDenied, RedisUnavailable
from signer.redis_url import InvalidRedisUrl, parse_redis_url

log = logging.getLogger("oss_signer.callbacks")

_SCRIPT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")
_KEY_PREFIX = "{oss-signer:callbacks}:"
_STEP_SECONDS = 1.0
_DEADLINE_SECONDS = 2.0
_MAX_CONNECTIONS = 16
_CLEANUP_INTERVAL_SECONDS = 600.0
_IDLE_CONSUMER_SECONDS = 3600.0
_REPAIR_INTERVAL_SECONDS = 60.0
_BROKEN = b"broken"
_MIN_VERSION = (6, 2)
"""The first one with XAUTOCLAIM. See: https://redis.io/docs/latest/commands/xautoclaim/"""


class RedisQueue:
    """Connects at its first use, so that a signer can start while Redis is unavailable."""

    def __init__(self, url: str, *, lease_seconds: float, max_events: int = DEFAULT_MAX_EVENTS) -> None:
        """Raise `CannotOpenQueue` for a URL that is not valid, without repeating it: it can contain a password."""
        try:
            parsed = parse_redis_url(url)
        except InvalidRedisUrl as error:
            raise CannotOpenQueue(f"server.callback_queue: {error}") from None
        self._client = RedisClient(parsed, step_seconds=_STEP_SECONDS, max_connections=_MAX_CONNECTIONS)
        self._consumer = uuid.uuid4().hex
        self._lease_seconds = lease_seconds
        self._max_events = max_events
        self._depth = 0
        self._failovers_when_checked: int | None = None
        self._cleaned_up_at = time.monotonic()
        self._repaired_at: dict[str, float] = {}
        self._script: Any = self._client.redis.register_script(_SCRIPT)

    async def put(self, event: UploadEvent, *, remember_until: float) -> bool:
        record = {"app": event.app_id, "object": event.object_id, "at": event.received_at, "body": event.body.decode()}
        text = json.dumps(record, ensure_ascii=False)
        end_milliseconds = int(remember_until * 1000)
        outcome = await self._run_for_app(
            event, "put", event.id, event.app_id, event.object_id, text, end_milliseconds, self._max_events
        )
        if outcome == b"full":
            raise QueueFull
        return bool(outcome == b"added")

    async def claim(self, max_events: int, slots_by_app: Mapping[str, int], default_slots: int) -> list[ClaimedEvent]:
        await self._check_settings()
        await self._clean_up()
        lease_ends_at = time.monotonic() + self._lease_seconds
        lease_milliseconds = int(self._lease_seconds * 1000)
        result = await self._run(
            "claim", self._consumer, lease_milliseconds, max_events, default_slots, json.dumps(dict(slots_by_app))
        )
        if result == _BROKEN:
            raise QueueUnavailable("another program replaced a key that all apps share")
        self._depth, entries, broken_apps = result
        claimed_events, unreadable = _read_entries(entries, lease_ends_at)
        with contextlib.suppress(QueueUnavailable):
            for app_id in {*broken_apps, *(await self._drop(unreadable))}:
                await self._repair(app_id.decode())
        return claimed_events

    async def remove(self, claimed: ClaimedEvent) -> None:
        depth = await self._end_claim("remove", claimed, claimed.event.object_id)
        self._depth = depth or self._depth

    async def retry_later(self, claimed: ClaimedEvent, delay_seconds: float) -> None:
        await self._end_claim("retry_later", claimed, int(delay_seconds * 1000))

    async def release(self, claimed: ClaimedEvent) -> None:
        await self._end_claim("release", claimed)

    def depth(self) -> int:
        return self._depth

    async def close(self) -> None:
        await self._client.close()

    async def _end_claim(self, operation: str, claimed: ClaimedEvent, *arguments: str | int) -> int:
        event = claimed.event
        result: int = await self._run_for_app(
            event, operation, self._consumer, event.app_id, claimed.claim_id, event.id, *arguments
        )
        return result

    async def _run_for_app(self, event: UploadEvent, operation: str, *arguments: str | int) -> Any:
        """Run an operation; if another program broke keys of the app, repair them and run it once more."""
        result = await self._run(operation, *arguments)
        if result == _BROKEN:
            await self._repair(event.app_id, event.object_id)
            result = await self._run(operation, *arguments)
        if result == _BROKEN:
            raise QueueUnavailable("another program replaced keys of this app")
        return result

    async def _repair(self, app_id: str, *object_ids: str) -> None:
        """Restore the keys of an app from its events, at most once a minute."""
        now = time.monotonic()
        if now - self._repaired_at.get(app_id, float("-inf")) < _REPAIR_INTERVAL_SECONDS:
            return
        self._repaired_at[app_id] = now
        fields = {"app": app_id, "reason": "another program deleted or replaced keys of the app"}
        try:
            waiting = await self._run("repair", app_id, *object_ids)
        except QueueUnavailable as error:
            log.error("callback queue of an app broken", extra={**fields, "repair": str(error)})
            raise
        if waiting == _BROKEN:
            log.error("callback queue of an app broken", extra={**fields, "repair": "failed"})
        else:
            log.error("callback queue of an app repaired", extra={**fields, "waiting": waiting})

    async def _drop(self, unreadable: list[list[Any]]) -> set[bytes]:
        """Remove events that cannot be read, and return their apps."""
        for entry_id, app_id, event_id, text, _ in unreadable:
            fields = {"app": app_id.decode(), "event_id": event_id.decode(), "content": text.decode(errors="replace")}
            log.error("unreadable event dropped", extra=fields)
            await self._run("remove", self._consumer, app_id, entry_id, event_id, "")
        return {entry[1] for entry in unreadable}

    async def _run(self, operation: str, *arguments: str | int | bytes) -> Any:
        try:
            return await self._client.run(
                lambda _: self._script(keys=[_KEY_PREFIX], args=[operation, *arguments]),
                deadline_seconds=_DEADLINE_SECONDS,
            )
        except RedisUnavailable as error:
            raise QueueUnavailable(str(error)) from None

    async def _check_settings(self) -> None:
        """Warn once for each master about settings with which Redis can lose events."""
        failovers = self._client.failovers
        if self._failovers_when_checked == failovers:
            return
        try:
            info = await self._client.run(lambda redis: redis.info(), deadline_seconds=_DEADLINE_SECONDS)
        except RedisPermissionDenied:
            info = {}
        except RedisUnavailable as error:
            raise QueueUnavailable(str(error)) from None
        for reason in _unsafe_settings(info):
            log.warning("callback queue not durable", extra={"reason": reason})
        self._failovers_when_checked = failovers

    async def _clean_up(self) -> None:
        """Remove the consumers of signers that ended, now and then."""
        if time.monotonic() - self._cleaned_up_at > _CLEANUP_INTERVAL_SECONDS:
            self._cleaned_up_at = time.monotonic()
            await self._run("remove_idle_consumers", int(_IDLE_CONSUMER_SECONDS * 1000))


def _unsafe_settings(info: dict[str, Any]) -> Iterator[str]:
    version = str(info.get("redis_version", "")).split(".")
    if version[0].isdecimal() and tuple(map(int, version[:2])) < _MIN_VERSION:
        yield "Redis is too old; install 6.2 or newer"
    if info.get("maxmemory") and info.get("maxmemory_policy") != "noeviction":
        yield "Redis can evict events; set maxmemory-policy to noeviction"
    if info.get("aof_enabled") == 0:
        yield "Redis keeps events in memory only; set appendonly to yes"


def _read_entries(entries: list[list[Any]], lease_ends_at: float) -> tuple[list[ClaimedEvent], list[list[Any]]]:
    """Return the events, and the entries that are not events."""
    claimed_events, unreadable = [], []
    for entry in entries:
        try:
            claimed_events.append(_claimed_event(entry, lease_ends_at))
        except (ValueError, KeyError, TypeError, AttributeError):
            unreadable.append(entry)
    return claimed_events, unreadable


def _claimed_event(entry: list[Any], lease_ends_at: float) -> ClaimedEvent:
    entry_id, _, event_id, text, failures = entry
    record = json.loads(text)
    event = UploadEvent(event_id.decode(), record["app"], record["object"], record["body"].encode(), record["at"])
    return ClaimedEvent(event, failures, entry_id.decode(), lease_ends_at)
