"""Another program deletes or replaces keys of one app in the Redis of the queue: the other apps notice nothing."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from signer.delivery.queue import EventQueue, QueueUnavailable, UploadEvent
from signer.delivery.queue_factory import open_queue
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import wait_until

PREFIX = "{oss-signer:callbacks}:"
STREAM, OBJECT, ACCEPTED = f"{PREFIX}ready:a", f"{PREFIX}object:a/photos/0.jpg", f"{PREFIX}accepted:a"
EVENTS, COUNTS, APPS, LATER = (f"{PREFIX}{name}" for name in ("events", "counts", "apps", "later"))
REPAIRED = "callback queue of an app repaired"


def event(app: str, name: str, number: int) -> UploadEvent:
    return UploadEvent(uuid.uuid4().hex, app, f"{app}/photos/{name}", b"{}", 1_000.0 + number)


@contextlib.asynccontextmanager
async def opened(redis: RedisServer) -> AsyncIterator[EventQueue]:
    queue = open_queue(redis.address, lease_seconds=30.0, max_events=1000)
    try:
        yield queue
    finally:
        await queue.close()


async def replace(client: Redis, key: str) -> None:
    await client.set(key, "text")


async def delete(client: Redis, key: str) -> None:
    await client.delete(key)


async def destroy_group(client: Redis, key: str) -> None:
    await client.xgroup_destroy(key, "signers")


async def add_foreign_entry(client: Redis, key: str) -> None:
    await client.xadd(key, {"x": "y"})


async def forget_app(client: Redis, key: str) -> None:
    await client.hdel(key, "a")


BREAKS = [
    pytest.param(replace, STREAM, id="stream replaced"),
    pytest.param(delete, STREAM, id="stream deleted"),
    pytest.param(destroy_group, STREAM, id="group destroyed"),
    pytest.param(add_foreign_entry, STREAM, id="foreign entry in the stream"),
    pytest.param(replace, ACCEPTED, id="accepted ids replaced"),
    pytest.param(delete, ACCEPTED, id="accepted ids deleted"),
    pytest.param(replace, OBJECT, id="list of an object replaced"),
    pytest.param(forget_app, COUNTS, id="count deleted"),
]


async def deliver_all(queue: EventQueue, count: int) -> list[UploadEvent]:
    """Claim and remove events, one after the other, until there were as many."""
    delivered: list[UploadEvent] = []
    while len(delivered) < count:
        for claimed in await wait_until(lambda: queue.claim(100, {}, 100)):
            delivered.append(claimed.event)
            await queue.remove(claimed)
    return delivered


@pytest.mark.parametrize(("break_key", "key"), BREAKS)
async def test_keys_of_an_app_are_repaired(
    break_key: Callable[[Redis, str], Awaitable[None]], key: str, redis: RedisServer
) -> None:
    async with opened(redis) as queue, redis.client() as client:
        events = [event("a", f"{number % 3}.jpg", number) for number in range(9)]
        other = event("b", "0.jpg", 0)
        for each in [*events, other]:
            await queue.put(each, remember_until=0)
        await break_key(client, key)
        later = event("a", "0.jpg", 9)
        assert await queue.put(later, remember_until=0)
        [claimed] = [each for each in await queue.claim(100, {"a": 0}, 100) if each.event.app_id == "b"]
        await queue.remove(claimed)
        delivered = await deliver_all(queue, 10)
        for name in ("0.jpg", "1.jpg", "2.jpg"):
            expected = [each for each in [*events, later] if each.object_id.endswith(name)]
            assert [each for each in delivered if each.object_id.endswith(name)] == expected
        assert await queue.claim(100, {}, 100) == []
        assert queue.depth() == 0
        assert await client.hlen(COUNTS) == 0


async def test_claims_of_other_apps_continue_while_a_key_cannot_be_repaired(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(redis) as queue, redis.client() as client:
        await queue.put(event("a", "0.jpg", 0), remember_until=0)
        await replace(client, STREAM)
        await client.execute_command("ACL", "SETUSER", "default", "-rename")  # type: ignore[no-untyped-call]
        for number in range(3):
            await queue.put(event("b", "0.jpg", number), remember_until=0)
            [claimed] = await queue.claim(100, {}, 100)
            assert claimed.event.app_id == "b"
            await queue.remove(claimed)
        [entry] = [vars(each) for each in caplog.records if each.levelname == "ERROR"]
        assert (entry["message"], entry["app"]) == ("callback queue of an app broken", "a")
        assert "permission" in entry["repair"]


async def test_an_event_that_waits_for_its_next_attempt_survives_a_broken_stream(redis: RedisServer) -> None:
    async with opened(redis) as queue, redis.client() as client:
        first = event("a", "0.jpg", 0)
        await queue.put(first, remember_until=0)
        [claimed] = await queue.claim(1, {}, 100)
        await queue.retry_later(claimed, 0.01)
        await replace(client, STREAM)
        [claimed] = await wait_until(lambda: queue.claim(1, {}, 100))
        assert (claimed.event, claimed.failures) == (first, 1)


async def test_an_outcome_repairs_a_lost_group(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """The claim has ended with its group, so the event is delivered again."""
    async with opened(redis) as queue, redis.client() as client:
        await queue.put(event("a", "0.jpg", 0), remember_until=0)
        [claimed] = await queue.claim(1, {}, 100)
        await destroy_group(client, STREAM)
        await queue.remove(claimed)
        [again] = await queue.claim(1, {}, 100)
        await queue.remove(again)
        assert await queue.claim(1, {}, 100) == []
        [entry] = [vars(each) for each in caplog.records if each.message == REPAIRED]
        assert (entry["app"], entry["waiting"]) == ("a", 1)


@pytest.mark.parametrize(
    "record", [b"not JSON", b"[]", b'{"app": "a"}', b'{"app": "a", "object": 1, "at": 0, "body": 5}']
)
async def test_an_unreadable_event_is_dropped_and_does_not_stop_its_object(
    record: bytes, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(redis) as queue, redis.client() as client:
        first, second, other = event("a", "0.jpg", 0), event("a", "0.jpg", 1), event("b", "0.jpg", 0)
        for each in (first, second, other):
            await queue.put(each, remember_until=0)
        await client.hset(EVENTS, first.id, record)
        assert [each.event for each in await queue.claim(100, {}, 100)] == [other]
        assert [each.event for each in await queue.claim(100, {}, 100)] == [second]
        [entry] = [vars(each) for each in caplog.records if each.message == "unreadable event dropped"]
        assert (entry["app"], entry["event_id"], entry["content"]) == ("a", first.id, record.decode())


@pytest.mark.parametrize("key", [APPS, LATER, EVENTS])
async def test_a_broken_key_of_all_apps_is_reported(key: str, redis: RedisServer) -> None:
    async with opened(redis) as queue, redis.client() as client:
        await queue.put(event("a", "0.jpg", 0), remember_until=0)
        await replace(client, key)
        with pytest.raises(QueueUnavailable, match="replaced a key that all apps share"):
            await queue.claim(100, {}, 100)


async def test_members_that_are_no_events_are_ignored(redis: RedisServer) -> None:
    async with opened(redis) as queue, redis.client() as client:
        await client.zadd(LATER, {"": 0, "no colon": 0, "a:unknown": 0})
        await client.sadd(APPS, "", "unknown")
        first = event("a", "0.jpg", 0)
        await queue.put(first, remember_until=0)
        assert await deliver_all(queue, 1) == [first]
        assert await queue.claim(100, {}, 100) == []
        assert queue.depth() == 0
