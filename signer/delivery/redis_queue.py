"""The queue in Redis, for signers on several machines: streams with a consumer group (see redis_queue.lua).

An event waits by the clock of Redis, which may be set back.
"""

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
    MAX_RETRY_DELAY_SECONDS,
    CannotOpenQueue,
    ClaimedEvent,
    DeadLetter,
    QueueFull,
    QueueUnavailable,
    UploadEvent,
    max_dead_letters,
)
from signer.delivery.rejections import Rejections
from signer.redis_client import RedisClient
from signer.redis_errors import RedisPermissionDenied, RedisUnavailable
from signer.redis_url import InvalidRedisUrl, parse_redis_url

log = logging.getLogger("oss_signer.callbacks")

_SCRIPT = "".join(
    Path(__file__).with_name(name).read_text(encoding="utf-8")
    for name in ("redis_queue.lua", "redis_dead_letters.lua", "redis_repair.lua")
)
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
        self._dead_letter_count = 0
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
        self._depth, self._dead_letter_count, entries, broken_apps = result
        claimed_events, unreadable = _read_entries(entries, lease_ends_at)
        with contextlib.suppress(QueueUnavailable):
            for app_id in {*broken_apps, *(await self._drop(unreadable))}:
                await self._repair(app_id.decode())
        return claimed_events

    async def remove(self, claimed: ClaimedEvent) -> None:
        self._depth = await self._end_claim("remove", claimed)

    async def retry_later(
        self, claimed: ClaimedEvent, delay_seconds: float, *, rejections: Rejections | None = None
    ) -> None:
        milliseconds = int(min(delay_seconds, MAX_RETRY_DELAY_SECONDS) * 1000)
        text = "" if rejections is None else json.dumps([rejections.count, rejections.first_at, rejections.last_at])
        await self._end_claim("retry_later", claimed, milliseconds, text)

    async def release(self, claimed: ClaimedEvent, delay_seconds: float = 0.0) -> None:
        await self._end_claim("release", claimed, int(delay_seconds * 1000))

    async def add_dead_letter(self, claimed: ClaimedEvent, reason: str) -> list[DeadLetter]:
        death = json.dumps([claimed.failures + 1, reason, time.time()], ensure_ascii=False)
        max_count = max_dead_letters(self._max_events)
        self._depth, self._dead_letter_count, dropped = await self._end_claim(
            "add_dead_letter", claimed, max_count, death
        )
        return [_dead_letter(each) for each in dropped]

    async def dead_letters(self, app_id: str | None, *, after: str, limit: int) -> list[DeadLetter]:
        found = await self._run_for_operator("dead_letters", app_id or "", after or "0", limit)
        return [_dead_letter(each) for each in found]

    async def retry_dead_letter(self, event_id: str) -> bool:
        self._depth, self._dead_letter_count, is_retried = await self._run_for_operator(
            "retry_dead_letter", event_id, str(time.time())
        )
        return bool(is_retried)

    async def drop_dead_letter(self, event_id: str) -> bool:
        self._depth, self._dead_letter_count, is_dropped = await self._run_for_operator("drop_dead_letter", event_id)
        return bool(is_dropped)

    def depth(self) -> int:
        return self._depth

    def dead_letter_count(self) -> int:
        return self._dead_letter_count

    def corrupt_files(self) -> tuple[str, ...]:
        return ()

    async def close(self) -> None:
        await self._client.close()

    async def _end_claim(self, operation: str, claimed: ClaimedEvent, *arguments: str | int) -> Any:
        event = claimed.event
        common = (self._consumer, event.app_id, claimed.claim_id, event.id, event.object_id)
        return await self._run_for_app(event, operation, *common, *arguments)

    async def _run_for_operator(self, operation: str, *arguments: str | int) -> Any:
        result = await self._run(operation, *arguments)
        if result == _BROKEN:
            raise QueueUnavailable("another program replaced keys of the queue")
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
        for entry_id, app_id, event_id, text, *_ in unreadable:
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
    entry_id, _, event_id, text, failures, rejections, retried_at, is_late = entry
    return ClaimedEvent(
        _event(event_id, text),
        failures,
        entry_id.decode(),
        lease_ends_at,
        rejections=None if rejections is None else Rejections(*json.loads(rejections)),
        retried_at=None if retried_at is None else float(retried_at),
        is_late=bool(is_late),
    )


def _dead_letter(entry: list[Any]) -> DeadLetter:
    event_id, number, text, death, is_late = entry
    failures, reason, dead_lettered_at = json.loads(death)
    event = _event(event_id, text)
    return DeadLetter(event, failures, reason, dead_lettered_at, bool(is_late), number.decode())


def _event(event_id: bytes, text: bytes) -> UploadEvent:
    record = json.loads(text)
    return UploadEvent(event_id.decode(), record["app"], record["object"], record["body"].encode(), record["at"])
