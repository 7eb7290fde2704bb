"""Delivery: signed, at least once, in order per object; the dead server of one app delays no other app."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.deliverer import Deliverer
from signer.delivery.queue import ClaimedEvent, EventQueue
from signer.delivery.rejections import MAX_REJECTIONS
from signer.delivery.sqlite_queue import SqliteQueue
from tests.callers.stub import Gate, body, redirect, stub
from tests.delivery.queued_events import claim_one, closing, event, put
from tests.harness.waiting import DEADLINE_SECONDS, wait_until

SECRET = b"a shared secret"
OK = body(b"")


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
    queue = SqliteQueue.open(tmp_path / "callbacks.db", lease_seconds=600)
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
        count_outcome=lambda outcome: outcomes.update([outcome]),
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


async def test_event_that_is_too_old_becomes_a_dead_letter(
    queue: EventQueue, outbound: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    sent, counts = Recorder(), Counter[str]()
    async with stub(sent(body(b"", 500))) as server:
        options = {"max_age_seconds": 3600.0}
        async with running_deliverer(queue, outbound, {"a": server.url}, counts, **options) as deliverer:
            old = event("a.jpg", 1, received_at=time.time() - 3700)
            await put(queue, old, event("a.jpg", 2))
            deliverer.wake()
            await wait_until(lambda: counts["dead_lettered"] == 1)
            server.answer = sent(OK)
            await wait_until(lambda: queue.depth() == 0)
    assert sent.numbers[0] == 1
    assert set(sent.numbers[1:]) == {2}
    [letter] = await queue.dead_letters(None, after="", limit=10)
    assert (letter.event, letter.reason) == (old, "status 500")
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert (record.message, vars(record)["event_id"]) == ("event became a dead letter", old.id)
    assert SECRET.decode() not in str(vars(record))


async def test_retried_dead_letter_is_as_old_as_its_retry(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    """A failure right after the retry does not end it again."""
    old = event("a.jpg", received_at=time.time() - 3700)
    await put(queue, old)
    await queue.add_dead_letter(await claim_one(queue), "status 500")
    assert await queue.retry_dead_letter(old.id)
    sent, counts = Recorder(), Counter[str]()
    async with stub(sent(body(b"", 500))) as server:
        options = {"max_age_seconds": 3600.0}
        async with running_deliverer(queue, outbound, {"a": server.url}, counts, **options):
            await wait_until(lambda: counts["failed"] >= 2)
            server.answer = sent(OK)
            await wait_until(lambda: queue.depth() == 0)
    assert counts["dead_lettered"] == 0


async def test_dropped_dead_letter_is_logged_with_its_content(
    outbound: aiohttp.ClientSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent, counts = Recorder(), Counter[str]()
    small = SqliteQueue.open(tmp_path / "small.db", lease_seconds=600, max_events=10)
    async with closing(small) as queue, stub(sent(body(b"", 500))) as server:
        first, second = (event(f"{number}.jpg", received_at=0.0) for number in range(2))
        async with running_deliverer(queue, outbound, {"a": server.url}, counts) as deliverer:
            for number, each in enumerate((first, second), 1):
                await put(queue, each)
                deliverer.wake()
                await wait_until(lambda number=number: counts["dead_lettered"] == number)  # type: ignore[misc]
            await wait_until(lambda: counts["dropped"] == 1)
        [letter] = await queue.dead_letters(None, after="", limit=10)
        assert letter.event == second
    [record] = [each for each in caplog.records if each.message == "dead letter dropped"]
    assert (vars(record)["event_id"], vars(record)["content"]) == (first.id, first.body.decode())


class PoisonServer:
    """Rejects the events of some objects forever."""

    def __init__(self, poison: set[str], status: int = 400) -> None:
        self.poison = poison
        self.status = status
        self.rejected: Counter[str] = Counter()
        self.accepted: list[str] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        name = json.loads(await request.read())["name"]
        if name in self.poison:
            self.rejected[name] += 1
            return web.Response(status=self.status)
        self.accepted.append(name)
        return web.Response()


@pytest.mark.parametrize("status", [400, 401, 404, 422])
async def test_rejected_events_do_not_block_others_of_the_same_server(
    queue: EventQueue, outbound: aiohttp.ClientSession, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if they are all older. Then the server looks misconfigured, and gets one event at a time, in turn."""
    monkeypatch.setattr("signer.delivery.app_server._MAX_TRIAL_DELAY_AFTER_REJECTION_SECONDS", 0.01)
    monkeypatch.setattr("signer.delivery.deliverer._POLL_SECONDS", 0.02)
    poison, good = [f"bad {number}" for number in range(40)], [f"good {number}" for number in range(69)]
    app = PoisonServer({*poison}, status)
    async with stub(app) as server:
        await put(queue, *(event(name) for name in poison))
        # As after some attempts, so that each bad event waits much longer than all trials take.
        urls = {"a": server.url}
        async with running_deliverer(queue, outbound, urls, first_retry_seconds=100.0) as deliverer:
            await wait_until(lambda: app.rejected.total() >= 10)
            await put(queue, *(event(name) for name in good))
            deliverer.wake()
            await wait_until(lambda: len(app.accepted) == len(good))
    assert sorted(app.accepted) == sorted(good)
    assert app.rejected.total() <= len(poison)


async def test_event_that_is_rejected_many_times_becomes_a_dead_letter(
    queue: EventQueue, outbound: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later events of its object follow, in their order; a retried one that they overtook is marked late."""
    monkeypatch.setattr("signer.delivery.deliverer._MAX_RETRY_SECONDS", 0.02)
    monkeypatch.setattr("signer.delivery.deliverer._POLL_SECONDS", 0.02)
    sent, counts = Recorder(), Counter[str]()

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=400 if json.loads(await request.read())["number"] == 1 else 200)

    async with (
        stub(sent(answer)) as server,
        running_deliverer(queue, outbound, {"a": server.url}, counts) as deliverer,
    ):
        poison = event("a.jpg", 1)
        await put(queue, event("good.jpg", 0), poison, event("a.jpg", 2), event("a.jpg", 3))
        deliverer.wake()
        await wait_until(lambda: queue.depth() == 0)
        assert [number for number in sent.numbers if number > 1] == [2, 3]
        assert counts == {"delivered": 3, "failed": counts["failed"], "dead_lettered": 1}
        assert MAX_REJECTIONS <= sent.numbers.count(1) <= MAX_REJECTIONS + 5
        assert queue.dead_letter_count() == 1
        server.answer = sent(OK)
        assert await queue.retry_dead_letter(poison.id)
        deliverer.wake()
        await wait_until(lambda: queue.depth() == 0)
    headers, data = sent.requests[-1]
    document = json.loads(data)
    assert document == {**json.loads(poison.body), "late": True}
    assert headers["X-Oss-Signer-Event-Id"] == poison.id
    signed = headers["X-Oss-Signer-Timestamp"].encode() + b"." + data
    assert headers["X-Oss-Signer-Signature"] == "sha256=" + hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
    assert not any("late" in json.loads(data) for _, data in sent.requests[:-1])


@pytest.mark.parametrize("status", [401, 404, 429, 500])
async def test_server_that_rejects_everything_makes_no_dead_letters(
    queue: EventQueue, outbound: aiohttp.ClientSession, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All events are delivered once it works again."""
    monkeypatch.setattr("signer.delivery.deliverer._MAX_RETRY_SECONDS", 0.001)
    monkeypatch.setattr("signer.delivery.deliverer._POLL_SECONDS", 0.02)
    for name in ("_MAX_TRIAL_DELAY_SECONDS", "_MAX_TRIAL_DELAY_AFTER_REJECTION_SECONDS"):
        monkeypatch.setattr(f"signer.delivery.app_server.{name}", 0.001)
    sent, counts = Recorder(), Counter[str]()
    async with stub(sent(body(b"", status))) as server:
        options = {"first_retry_seconds": 0.001}
        async with running_deliverer(queue, outbound, {"a": server.url}, counts, **options) as deliverer:
            await put(queue, *(event(f"{number}.jpg", number) for number in range(3)))
            deliverer.wake()
            await wait_until(lambda: min(map(sent.numbers.count, range(3))) > 2 * MAX_REJECTIONS)
            server.answer = sent(OK)
            await wait_until(lambda: queue.depth() == 0)
    assert counts["delivered"] == 3
    assert counts["dead_lettered"] == 0


async def test_former_server_of_an_app_does_not_excuse_the_new_one(
    queue: EventQueue, outbound: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    counts = Counter[str]()
    async with stub() as former, stub(body(b"", 404)) as wrong:
        targets: dict[str, NotifyTarget] = {"a": NotifyTarget(former.url, SECRET)}
        deliverer = Deliverer(queue, outbound, targets.get, count_outcome=lambda outcome: counts.update([outcome]))
        deliverer.start()
        try:
            await put(queue, event("a.jpg"))
            await wait_until(lambda: counts["delivered"] == 1)
            targets["a"] = NotifyTarget(wrong.url, SECRET)
            await put(queue, event("b.jpg"))
            await wait_until(lambda: counts["failed"] >= 1)
        finally:
            await deliverer.stop()
    record = next(each for each in caplog.records if each.message == "delivery failed")
    assert vars(record)["counts_against"] == "server"


async def test_failing_servers_leave_slots_for_others(queue: EventQueue, outbound: aiohttp.ClientSession) -> None:
    """Even if more servers hang than events can be in flight."""
    failing, hanging, working = Recorder(), Recorder(), Recorder()
    gate = Gate(OK)
    apps = [f"dead{number}" for number in range(100)]
    async with stub(failing(body(b"", 500))) as dead, stub(working(OK)) as alive:
        urls = {"alive": alive.url, **dict.fromkeys(apps, dead.url)}
        options: dict[str, Any] = {"first_retry_seconds": 0.01, "timeout_seconds": 60.0}
        async with running_deliverer(queue, outbound, urls, **options) as deliverer:
            await put(queue, *(event(f"{n}.jpg", app=app) for app in apps for n in range(2)))
            deliverer.wake()
            # Each server has failed twice; from now on, it hangs.
            await wait_until(lambda: len({data for _, data in failing.requests}) == 200)
            dead.answer = hanging(gate)
            await gate.reached.wait()
            await put(queue, *(event(f"{n}.jpg", n, app="alive") for n in range(20)))
            deliverer.wake()
            await wait_until(lambda: len(working.requests) == 20)
            assert 0 < len(hanging.requests) <= 32
            gate.open()


async def test_no_event_is_sent_twice_in_parallel(
    queue: EventQueue, outbound: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if its claim ends early, as when the clock of Redis is set ahead."""
    sent, gate = Recorder(), Gate(OK)
    async with stub(sent(gate)) as server, running_deliverer(queue, outbound, {"a": server.url}) as deliverer:
        await put(queue, event("a.jpg"))
        deliverer.wake()
        await gate.reached.wait()
        released: list[ClaimedEvent] = []
        claim, release = queue.claim, queue.release

        async def claim_again(*arguments: Any) -> list[ClaimedEvent]:
            with contextlib.closing(sqlite3.connect(tmp_path / "callbacks.db")) as other, other:
                other.execute("UPDATE objects SET due_at = 0")
            return await claim(*arguments)

        async def record_release(claimed: ClaimedEvent, delay_seconds: float = 0.0) -> None:
            released.append(claimed)
            await release(claimed, delay_seconds)

        monkeypatch.setattr(queue, "claim", claim_again)
        monkeypatch.setattr(queue, "release", record_release)
        await wait_until(lambda: len(released) >= 2)
        monkeypatch.setattr(queue, "claim", claim)
        assert len(sent.requests) == 1
        gate.open()
        await wait_until(lambda: queue.depth() == 0)


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
