"""Delivery: signed, at least once, in order per object; the dead server of one app delays no other app."""

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
from signer.delivery.queue import ClaimedEvent, EventQueue, UploadEvent
from signer.delivery.sqlite_queue import SqliteQueue
from tests.callers.stub import Gate, body, redirect, stub
from tests.harness.waiting import DEADLINE_SECONDS, wait_until

SECRET = b"a shared secret"
OK = body(b"")


def event(name: str, number: int = 0, app: str = "a", received_at: float | None = None) -> UploadEvent:
    document = json.dumps({"name": name, "number": number}).encode()
    return UploadEvent(uuid.uuid4().hex, app, f"{app}/photos/{name}", document, received_at or time.time())


class Recorder:
    """Records the requests to an app's server in order, around its answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []

    def __call__(self, answer: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def record(request: web.Request) -> web.StreamResponse:
            self.requests.append((dict(request.headers), await request.read()))
            response: web.StreamResponse = await answer(request)
            return response

        return record

    @property
    def numbers(self) -> list[int]:
        return [json.loads(data)["number"] for _, data in self.requests]


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[EventQueue]:
    queue = await SqliteQueue.open(tmp_path / "callbacks.db", lease_seconds=600)
    yield queue
    await queue.close()


@contextlib.asynccontextmanager
async def running_deliverer(
    queue: EventQueue,
    outbound: aiohttp.ClientSession,
    urls: dict[str, str],
    counts: Counter[str] | None = None,
    **options: Any,
) -> AsyncIterator[Deliverer]:
    targets = {app: NotifyTarget(url, SECRET) for app, url in urls.items()}
    outcomes = Counter[str]() if counts is None else counts
    deliverer = Deliverer(
        queue,
        outbound,
        targets.get,
        count_attempt=lambda outcome: outcomes.update([outcome]),
        **{"first_retry_seconds": 0.02, **options},
    )
    deliverer.start()
    try:
        yield deliverer
    finally:
        await deliverer.stop()


async def test_delivery_is_signed(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    sent, counts = Recorder(), Counter[str]()
    async with (
        stub(sent(OK)) as server,
        running_deliverer(queue, outbound, {"a": f"{server.url}/hook?x=1"}, counts) as deliverer,
    ):
        put = event("照片.jpg")
        await queue.put(put, remember_until=0)
        deliverer.wake()
        await wait_until(lambda: queue.depth() == 0)
    [(headers, data)] = sent.requests
    assert data == put.body
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Oss-Signer-Event-Id"] == put.id
    timestamp = headers["X-Oss-Signer-Timestamp"]
    assert abs(int(timestamp) - time.time()) < DEADLINE_SECONDS
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
async def test_response_other_than_2xx_is_retried(
    answer: Any, queue: EventQueue, outbound: aiohttp.ClientSession
) -> None:
    sent, counts = Recorder(), Counter[str]()
    async with stub(sent(answer)) as server, running_deliverer(queue, outbound, {"a": server.url}, counts) as deliverer:
        await queue.put(event("a.jpg"), remember_until=0)
        deliverer.wake()
        await wait_until(lambda: len(sent.requests) >= 2)
        server.answer = sent(body(b"", 204))
        await wait_until(lambda: queue.depth() == 0)
    assert len({headers["X-Oss-Signer-Event-Id"] for headers, _ in sent.requests}) == 1
    assert counts["delivered"] == 1
    assert counts["failed"] == len(sent.requests) - 1
    assert not any("/elsewhere" in str(headers) for headers, _ in sent.requests)


async def test_events_of_one_object_stay_in_order_through_failures(
    queue: EventQueue, outbound: aiohttp.ClientSession
) -> None:
    sent, attempts = Recorder(), Counter[str]()

    async def flapping(request: web.Request) -> web.StreamResponse:
        name = json.loads(await request.read())["name"]
        attempts[name] += 1
        if attempts[name] % 3 == 1:
            return web.Response(status=503)
        if attempts[name] % 3 == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.Response()

    async with stub(sent(flapping)) as server, running_deliverer(queue, outbound, {"a": server.url}) as deliverer:
        for number in range(5):
            for name in ("x", "y", "z"):
                await queue.put(event(name, number), remember_until=0)
        deliverer.wake()
        await wait_until(lambda: queue.depth() == 0)
    for name in ("x", "y", "z"):
        numbers = [json.loads(data)["number"] for _, data in sent.requests if json.loads(data)["name"] == name]
        assert numbers == [number for number in range(5) for _ in range(3)]


async def test_slow_server_exceeds_the_time_limit(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    sent, counts = Recorder(), Counter[str]()
    gate = Gate(OK)
    async with (
        stub(sent(gate)) as server,
        running_deliverer(queue, outbound, {"a": server.url}, counts, timeout_seconds=0.1) as deliverer,
    ):
        await queue.put(event("a.jpg"), remember_until=0)
        deliverer.wake()
        await wait_until(lambda: counts["failed"] >= 1)
        gate.open()
        await wait_until(lambda: queue.depth() == 0)


async def test_dead_server_of_one_app_delays_no_other_app(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    """Not even with far more events than can be in flight."""
    hanging, working = Recorder(), Recorder()
    gate = Gate(OK)
    async with stub(hanging(gate)) as dead, stub(working(OK)) as alive:
        urls = {"dead": dead.url, "alive": alive.url}
        async with running_deliverer(queue, outbound, urls, timeout_seconds=5.0) as deliverer:
            await asyncio.gather(*(queue.put(event(f"{n}.jpg", app="dead"), remember_until=0) for n in range(200)))
            deliverer.wake()
            await gate.reached.wait()
            await asyncio.gather(*(queue.put(event(f"{n}.jpg", n, app="alive"), remember_until=0) for n in range(50)))
            deliverer.wake()
            await wait_until(lambda: len(working.requests) == 50)
            assert 0 < len(hanging.requests) <= 16
            gate.open()
            await wait_until(lambda: queue.depth() == 0)
    assert len(hanging.requests) == 200


async def test_failing_server_gets_few_attempts(
    queue: EventQueue, outbound: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, counts = Recorder(), Counter[str]()
    claims = 0

    async def count_claims(*arguments: Any) -> list[ClaimedEvent]:
        nonlocal claims
        claims += 1
        return await claim(*arguments)

    claim = queue.claim
    monkeypatch.setattr(queue, "claim", count_claims)
    async with stub(sent(body(b"", 500))) as server:
        options = {"first_retry_seconds": 10.0}
        async with running_deliverer(queue, outbound, {"a": server.url}, counts, **options) as deliverer:
            await asyncio.gather(*(queue.put(event(f"{n}.jpg"), remember_until=0) for n in range(300)))
            deliverer.wake()
            await wait_until(lambda: counts["failed"] >= 16)
            claims_before = claims
            await wait_until(lambda: claims > claims_before + 3)
            # The first attempts are concurrent; then the circuit is open, and no event is claimed.
            assert 16 <= len(sent.requests) <= 32
    assert queue.depth() == 300


async def test_event_that_is_too_old_is_dropped_and_logged(
    queue: EventQueue, outbound: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    sent, counts = Recorder(), Counter[str]()
    async with stub(sent(body(b"", 500))) as server:
        options = {"max_age_seconds": 3600.0}
        async with running_deliverer(queue, outbound, {"a": server.url}, counts, **options) as deliverer:
            old = event("a.jpg", 1, received_at=time.time() - 3700)
            await queue.put(old, remember_until=0)
            await queue.put(event("a.jpg", 2), remember_until=0)
            deliverer.wake()
            await wait_until(lambda: counts["given_up"] == 1)
            server.answer = sent(OK)
            await wait_until(lambda: queue.depth() == 0)
    assert sent.numbers[0] == 1
    assert set(sent.numbers[1:]) == {2}
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert vars(record)["content"] == old.body.decode()
    assert vars(record)["event_id"] == old.id
    assert SECRET.decode() not in str(vars(record))


async def test_events_of_an_app_without_a_target_are_kept(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    counts = Counter[str]()
    async with running_deliverer(queue, outbound, {}, counts) as deliverer:
        await queue.put(event("a.jpg"), remember_until=0)
        deliverer.wake()
        await wait_until(lambda: counts["failed"] >= 1)
    assert queue.depth() == 1
    async with stub() as server, running_deliverer(queue, outbound, {"a": server.url}):
        await wait_until(lambda: queue.depth() == 0)


async def test_attempt_that_stop_interrupts_is_repeated(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    sent = Recorder()
    gate = Gate(OK)
    async with stub(sent(gate)) as server:
        async with running_deliverer(queue, outbound, {"a": server.url}) as deliverer:
            await queue.put(event("a.jpg"), remember_until=0)
            deliverer.wake()
            await gate.reached.wait()
        server.answer = sent(OK)
        async with running_deliverer(queue, outbound, {"a": server.url}):
            await wait_until(lambda: queue.depth() == 0)
    assert len(sent.requests) == 2


async def test_events_queued_while_stopped_are_delivered(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    for number in range(10):
        await queue.put(event(f"{number}.jpg"), remember_until=0)
    sent = Recorder()
    async with stub(sent(OK)) as server, running_deliverer(queue, outbound, {"a": server.url}):
        await wait_until(lambda: queue.depth() == 0)
    assert len(sent.requests) == 10
