"""Handing on: signed, at least once, in order per object; one app's dead server holds up no other's."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.deliverer import Deliverer
from signer.delivery.events import UploadEvent
from signer.delivery.queue import EventQueue
from signer.delivery.sqlite_queue import SqliteQueue
from tests.callers.stub import Gate, body, redirect, stub

SECRET = b"a secret that both know"
LONG_SECONDS = 30.0
OK = body(b"")


def event(name: str, number: int = 0, app: str = "a", received_at: float | None = None) -> UploadEvent:
    document = json.dumps({"name": name, "number": number}).encode()
    return UploadEvent(uuid.uuid4().hex, app, f"{app}/photos/{name}", document, received_at or time.time())


class Sent:
    """What an app's server got, in its order."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []

    def __call__(self, answer: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def kept(request: web.Request) -> web.StreamResponse:
            self.requests.append((dict(request.headers), await request.read()))
            response: web.StreamResponse = await answer(request)
            return response

        return kept

    @property
    def numbers(self) -> list[int]:
        return [json.loads(data)["number"] for _, data in self.requests]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_SECONDS):
        while not true():
            await asyncio.sleep(0.01)


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[EventQueue]:
    queue = await SqliteQueue.open(tmp_path / "callbacks.db", lease_seconds=600)
    yield queue
    await queue.close()


@contextlib.asynccontextmanager
async def notifying(
    queue: EventQueue,
    outbound: aiohttp.ClientSession,
    urls: dict[str, str],
    counts: Counter[str] | None = None,
    **options: Any,
) -> AsyncIterator[Deliverer]:
    targets = {app: NotifyTarget(url, SECRET) for app, url in urls.items()}
    found = Counter[str]() if counts is None else counts
    chosen = {"first_retry_seconds": 0.02, **options}
    notifier = Deliverer(queue, outbound, targets.get, count=lambda outcome: found.update([outcome]), **chosen)
    try:
        yield notifier
    finally:
        await notifier.close()


async def test_what_is_sent_is_signed(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    sent, counts = Sent(), Counter[str]()
    async with (
        stub(sent(OK)) as server,
        notifying(queue, outbound, {"a": f"{server.url}/hook?x=1"}, counts) as notifier,
    ):
        put = event("照片.jpg")
        await queue.put(put)
        notifier.wake()
        await until(lambda: queue.depth() == 0)
    [(headers, data)] = sent.requests
    assert data == put.body
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Oss-Signer-Event-Id"] == put.id
    timestamp = headers["X-Oss-Signer-Timestamp"]
    assert abs(int(timestamp) - time.time()) < LONG_SECONDS
    expected = hmac.new(SECRET, timestamp.encode() + b"." + data, hashlib.sha256).hexdigest()
    assert headers["X-Oss-Signer-Signature"] == f"sha256={expected}"
    assert counts == {"delivered": 1}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(body(b"", 500), id="500"),
        pytest.param(body(b"", 404), id="404"),
        pytest.param(body(b"", 304), id="304"),
        pytest.param(redirect("/elsewhere"), id="redirect"),
    ],
)
async def test_anything_but_2xx_is_tried_again(answer: Any, queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    sent, counts = Sent(), Counter[str]()
    async with stub(sent(answer)) as server, notifying(queue, outbound, {"a": server.url}, counts) as notifier:
        await queue.put(event("a.jpg"))
        notifier.wake()
        await until(lambda: len(sent.requests) >= 2)
        server.answer = sent(body(b"", 204))
        await until(lambda: queue.depth() == 0)
    assert len({headers["X-Oss-Signer-Event-Id"] for headers, _ in sent.requests}) == 1
    assert counts["delivered"] == 1
    assert counts["failed"] == len(sent.requests) - 1
    assert not any("/elsewhere" in str(headers) for headers, _ in sent.requests)


async def test_the_order_holds_whatever_fails(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    sent, asked = Sent(), Counter[str]()

    async def flapping(request: web.Request) -> web.StreamResponse:
        name = json.loads(await request.read())["name"]
        asked[name] += 1
        if asked[name] % 3 == 1:
            return web.Response(status=503)
        if asked[name] % 3 == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.Response()

    async with stub(sent(flapping)) as server, notifying(queue, outbound, {"a": server.url}) as notifier:
        for number in range(5):
            for name in ("x", "y", "z"):
                await queue.put(event(name, number))
        notifier.wake()
        await until(lambda: queue.depth() == 0)
    for name in ("x", "y", "z"):
        numbers = [json.loads(data)["number"] for _, data in sent.requests if json.loads(data)["name"] == name]
        assert numbers == [number for number in range(5) for _ in range(3)]


async def test_a_slow_server_is_given_up_in_time(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    sent, counts = Sent(), Counter[str]()
    gate = Gate(OK)
    async with (
        stub(sent(gate)) as server,
        notifying(queue, outbound, {"a": server.url}, counts, timeout_seconds=0.1) as notifier,
    ):
        await queue.put(event("a.jpg"))
        notifier.wake()
        await until(lambda: counts["failed"] >= 1)
        gate.open()
        await until(lambda: queue.depth() == 0)


async def test_one_apps_dead_server_holds_up_no_other(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    """Not even with far more events than can be sent at once."""
    hanging, well = Sent(), Sent()
    gate = Gate(OK)
    async with stub(hanging(gate)) as dead, stub(well(OK)) as alive:
        urls = {"dead": dead.url, "alive": alive.url}
        async with notifying(queue, outbound, urls, timeout_seconds=5.0) as notifier:
            await asyncio.gather(*(queue.put(event(f"{n}.jpg", app="dead")) for n in range(200)))
            notifier.wake()
            await gate.reached.wait()
            await asyncio.gather(*(queue.put(event(f"{n}.jpg", n, app="alive")) for n in range(50)))
            notifier.wake()
            await until(lambda: len(well.requests) == 50)
            assert 0 < len(hanging.requests) <= 16
            gate.open()
            await until(lambda: queue.depth() == 0)
    assert len(hanging.requests) == 200


async def test_a_server_that_is_down_is_not_stormed(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    sent, counts = Sent(), Counter[str]()
    async with stub(sent(body(b"", 500))) as server:
        options = {"first_retry_seconds": 10.0}
        async with notifying(queue, outbound, {"a": server.url}, counts, **options) as notifier:
            await asyncio.gather(*(queue.put(event(f"{n}.jpg")) for n in range(300)))
            notifier.wake()
            await until(lambda: counts["failed"] >= 16)
            await asyncio.sleep(1.0)
            # The first ones at once, and then none before the pause is over.
            assert 16 <= len(sent.requests) <= 32
    assert queue.depth() == 300


async def test_what_is_too_old_is_dropped_loudly(
    queue: EventQueue, outbound: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    sent, counts = Sent(), Counter[str]()
    async with stub(sent(body(b"", 500))) as server:
        options = {"most_age_seconds": 3600.0}
        async with notifying(queue, outbound, {"a": server.url}, counts, **options) as notifier:
            old = event("a.jpg", 1, received_at=time.time() - 3700)
            await queue.put(old)
            await queue.put(event("a.jpg", 2))
            notifier.wake()
            await until(lambda: counts["given_up"] == 1)
            server.answer = sent(OK)
            await until(lambda: queue.depth() == 0)
    assert sent.numbers[0] == 1
    assert set(sent.numbers[1:]) == {2}
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert vars(record)["content"] == old.body.decode()
    assert vars(record)["event_id"] == old.id
    assert SECRET.decode() not in str(vars(record))


async def test_an_app_without_a_target_keeps_its_events(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    counts = Counter[str]()
    async with notifying(queue, outbound, {}, counts) as notifier:
        await queue.put(event("a.jpg"))
        notifier.wake()
        await until(lambda: counts["failed"] >= 1)
    assert queue.depth() == 1
    async with stub() as server, notifying(queue, outbound, {"a": server.url}):
        await until(lambda: queue.depth() == 0)


async def test_a_close_sends_again_what_was_being_sent(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    sent = Sent()
    gate = Gate(OK)
    async with stub(sent(gate)) as server:
        async with notifying(queue, outbound, {"a": server.url}) as notifier:
            await queue.put(event("a.jpg"))
            notifier.wake()
            await gate.reached.wait()
        server.answer = sent(OK)
        async with notifying(queue, outbound, {"a": server.url}):
            await until(lambda: queue.depth() == 0)
    assert len(sent.requests) == 2


async def test_events_that_came_while_nobody_ran_are_sent(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    for number in range(10):
        await queue.put(event(f"{number}.jpg"))
    sent = Sent()
    async with stub(sent(OK)) as server, notifying(queue, outbound, {"a": server.url}):
        await until(lambda: queue.depth() == 0)
    assert len(sent.requests) == 10
