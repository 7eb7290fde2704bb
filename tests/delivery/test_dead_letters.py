"""Dead letters of both queues: they wait for an operator, are bounded, and never block the events of their object."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from signer.delivery.queue import ClaimedEvent, EventQueue, UploadEvent
from signer.delivery.rejections import Rejections
from tests.delivery.queued_events import claim, claim_one, event, opened, put


@pytest.fixture
async def queue(address: str) -> AsyncIterator[EventQueue]:
    async with opened(address) as queue:
        yield queue


async def bury(queue: EventQueue, *events: UploadEvent) -> None:
    """Make these events dead letters, each of them the oldest of its object."""
    for each in events:
        claimed = await claim_one(queue)
        assert claimed.event == each
        assert await queue.add_dead_letter(claimed, "status 400") == []


async def deliver(queue: EventQueue) -> ClaimedEvent:
    """Remove the next event as delivered."""
    claimed = await claim_one(queue)
    await queue.remove(claimed)
    return claimed


async def ids(queue: EventQueue, app_id: str | None = None) -> list[str]:
    return [each.event.id for each in await queue.dead_letters(app_id, after="", limit=1000)]


async def test_dead_letter_has_its_event_and_the_reason(queue: EventQueue) -> None:
    poison = event("照片.jpg")
    await put(queue, poison)
    await queue.retry_later(await claim_one(queue), 0.01)
    assert await queue.add_dead_letter(await claim_one(queue), "status 400") == []
    [letter] = await queue.dead_letters(None, after="", limit=10)
    assert (letter.event, letter.failures, letter.reason, letter.is_late) == (poison, 2, "status 400", False)
    assert letter.dead_lettered_at == pytest.approx(time.time(), abs=600)
    assert (queue.depth(), queue.dead_letter_count()) == (0, 1)
    assert await claim(queue) == []


async def test_dead_letter_makes_the_next_event_of_its_object_due(queue: EventQueue) -> None:
    first, second = event("a.jpg", 1), event("a.jpg", 2)
    await put(queue, first, second)
    await bury(queue, first)
    assert queue.depth() == 1
    claimed = await claim_one(queue)
    assert (claimed.event, claimed.failures, claimed.is_late) == (second, 0, False)


async def test_dead_letters_survive_a_restart(address: str) -> None:
    poison = event("a.jpg")
    async with opened(address) as queue:
        await put(queue, poison)
        await bury(queue, poison)
    async with opened(address) as queue:
        assert await ids(queue) == [poison.id]
        await claim(queue)
        assert queue.dead_letter_count() == 1


async def test_retried_dead_letter_begins_anew(queue: EventQueue) -> None:
    poison = event("a.jpg")
    await put(queue, poison)
    rejections = Rejections(3, 100.0, 300.5)
    await queue.retry_later(await claim_one(queue), 0.01, rejections=rejections)
    claimed = await claim_one(queue)
    assert (claimed.failures, claimed.rejections, claimed.retried_at) == (1, rejections, None)
    await queue.add_dead_letter(claimed, "status 400")
    assert await queue.retry_dead_letter(poison.id)
    assert (await ids(queue), queue.dead_letter_count()) == ([], 0)
    again = await claim_one(queue)
    assert (again.event, again.failures, again.rejections, again.is_late) == (poison, 0, None, False)
    assert again.retried_at == pytest.approx(time.time(), abs=600)
    await queue.remove(again)
    assert queue.depth() == 0


async def test_failure_that_does_not_count_keeps_the_rejections(queue: EventQueue) -> None:
    await put(queue, event("a.jpg"))
    await queue.retry_later(await claim_one(queue), 0.01, rejections=Rejections(1, 5.0, 5.0))
    await queue.retry_later(await claim_one(queue), 0.01)
    claimed = await claim_one(queue)
    assert (claimed.failures, claimed.rejections) == (2, Rejections(1, 5.0, 5.0))


async def test_retried_dead_letter_is_before_newer_events_of_its_object(queue: EventQueue) -> None:
    """The newer one waits for its next attempt, and was never accepted, so the order stays."""
    events = [event("a.jpg", number) for number in range(4)]
    await put(queue, *events)
    await bury(queue, *events[:2])
    await queue.retry_later(await claim_one(queue), 300)
    # In either order of retries.
    assert await queue.retry_dead_letter(events[1].id)
    assert await queue.retry_dead_letter(events[0].id)
    delivered = [await deliver(queue) for _ in range(2)]
    assert [each.event for each in delivered] == events[:2]
    assert not any(each.is_late for each in delivered)


async def test_event_in_flight_ends_before_a_retried_dead_letter(queue: EventQueue) -> None:
    """If it fails, the dead letter is first, as always; if it is accepted, the dead letter is late."""
    first, second, third = (event("a.jpg", number) for number in range(3))
    await put(queue, first, second, third)
    await bury(queue, first)
    in_flight = await claim_one(queue)
    assert await queue.retry_dead_letter(first.id)
    assert await claim(queue) == []
    await queue.retry_later(in_flight, 300)
    claimed = await claim_one(queue)
    assert (claimed.event, claimed.is_late) == (first, False)
    await queue.add_dead_letter(claimed, "status 400")
    in_flight = await claim_one(queue)
    assert (in_flight.event, in_flight.failures) == (second, 1)
    assert await queue.retry_dead_letter(first.id)
    await queue.remove(in_flight)
    claimed = await claim_one(queue)
    assert (claimed.event, claimed.is_late) == (first, True)
    await queue.remove(claimed)
    claimed = await claim_one(queue)
    assert (claimed.event, claimed.is_late) == (third, False)


async def test_released_event_is_delivered_after_a_retried_dead_letter(queue: EventQueue) -> None:
    first, second = event("a.jpg", 1), event("a.jpg", 2)
    await put(queue, first, second)
    await bury(queue, first)
    in_flight = await claim_one(queue)
    assert await queue.retry_dead_letter(first.id)
    await queue.release(in_flight)
    assert (await deliver(queue)).event == first
    assert (await deliver(queue)).event == second


async def test_dead_letter_is_late_after_a_newer_event_was_delivered(queue: EventQueue) -> None:
    """Also when it becomes a dead letter again."""
    first, second, third = (event("a.jpg", number) for number in range(3))
    await put(queue, first, second, third)
    await bury(queue, first, second)
    assert await queue.retry_dead_letter(second.id)
    delivered = [await deliver(queue) for _ in range(2)]
    assert [(each.event, each.is_late) for each in delivered] == [(second, False), (third, False)]
    for _ in range(2):
        [letter] = await queue.dead_letters(None, after="", limit=10)
        assert (letter.event, letter.is_late) == (first, True)
        assert await queue.retry_dead_letter(first.id)
        late = await claim_one(queue)
        assert (late.event, late.is_late) == (first, True)
        await queue.add_dead_letter(late, "status 400")


async def test_events_of_other_objects_make_no_dead_letter_late(queue: EventQueue) -> None:
    poison = event("a.jpg")
    await put(queue, poison)
    await bury(queue, poison)
    await put(queue, event("b.jpg"), event("a.jpg", app="b"))
    for _ in range(2):
        await deliver(queue)
    assert await queue.retry_dead_letter(poison.id)
    assert not (await deliver(queue)).is_late


async def test_newer_event_that_became_a_dead_letter_is_not_late(queue: EventQueue) -> None:
    first, second = event("a.jpg", 1), event("a.jpg", 2)
    await put(queue, first, second)
    await bury(queue, first, second)
    assert await queue.retry_dead_letter(first.id)
    await deliver(queue)
    assert await queue.retry_dead_letter(second.id)
    assert not (await deliver(queue)).is_late


async def test_dead_letter_without_newer_events_stays_in_order(queue: EventQueue) -> None:
    """A newer upload that arrives after the retry is delivered after it."""
    first, second = event("a.jpg", 1), event("a.jpg", 2)
    await put(queue, first)
    await bury(queue, first)
    assert await queue.retry_dead_letter(first.id)
    await put(queue, second)
    assert [(await deliver(queue)).event for _ in range(2)] == [first, second]


async def test_dropped_dead_letter_is_deleted(queue: EventQueue) -> None:
    poison = event("a.jpg")
    await put(queue, poison)
    await bury(queue, poison)
    assert await queue.drop_dead_letter(poison.id)
    assert (await ids(queue), queue.dead_letter_count()) == ([], 0)
    assert not await queue.drop_dead_letter(poison.id)
    assert not await queue.retry_dead_letter(poison.id)
    assert await claim(queue) == []


async def test_list_has_pages_and_can_be_of_one_app(queue: EventQueue) -> None:
    events = [event(f"{number}.jpg", app="ab"[number % 2]) for number in range(6)]
    for each in events:
        await put(queue, each)
        await bury(queue, each)
    for app_id in (None, "a", "b"):
        expected = [each.id for each in events if app_id in (None, each.app_id)]
        page = await queue.dead_letters(app_id, after="", limit=2)
        assert [each.event.id for each in page] == expected[:2]
        page = await queue.dead_letters(app_id, after=page[-1].position, limit=10)
        assert [each.event.id for each in page] == expected[2:]
    assert await ids(queue, "c") == []


async def test_dead_letters_are_bounded_and_each_app_has_its_share(address: str) -> None:
    """Beyond it, the oldest one of the same app is dropped, and returned for the log."""
    async with opened(address, max_events=100) as queue:
        kept: dict[str, list[UploadEvent]] = {"a": [], "b": []}
        dropped: list[UploadEvent] = []
        for app in kept:
            for number in range(12):
                each = event(f"{number}.jpg", app=app)
                kept[app].append(each)
                await put(queue, each)
                dropped += [
                    letter.event for letter in await queue.add_dead_letter(await claim_one(queue), "status 400")
                ]
        assert await ids(queue, "a") == [each.id for each in kept["a"][-4:]]
        assert await ids(queue, "b") == [each.id for each in kept["b"][-2:]]
        assert dropped == [*kept["a"][:-4], *kept["b"][:-2]]
        assert queue.dead_letter_count() == 6


async def test_without_a_free_place_the_event_itself_is_dropped(address: str) -> None:
    async with opened(address, max_events=10) as queue:
        first, second = event("a.jpg"), event("a.jpg", app="b")
        await put(queue, first)
        await bury(queue, first)
        await put(queue, second)
        [dropped] = await queue.add_dead_letter(await claim_one(queue), "status 400")
        assert (dropped.event, dropped.failures) == (second, 1)
        assert await ids(queue) == [first.id]
        assert queue.depth() == 0


async def test_dead_letters_use_no_place_of_waiting_events(address: str) -> None:
    async with opened(address, max_events=10) as queue:
        for number in range(8):
            await put(queue, event(f"{number}.jpg"))
            await queue.add_dead_letter(await claim_one(queue), "status 400")
        for number in range(4):
            await put(queue, event(f"new {number}.jpg"))
        assert len(await claim(queue)) == 4


async def test_claim_that_has_ended_makes_no_dead_letter(address: str) -> None:
    async with opened(address, lease_seconds=0.0) as dead, opened(address) as other:
        await put(dead, event("a.jpg"))
        lost = await claim_one(dead)
        if address.startswith("redis"):
            # The signer that takes a claim over decides how old the claim must be.
            await dead.release(await claim_one(dead))
        taken = await claim_one(other)
        assert await dead.add_dead_letter(lost, "status 400") == []
        assert await ids(other) == []
        await other.remove(taken)


async def test_nothing_is_left_of_dead_letters(address: str) -> None:
    """A later event of the same object is not late because of them."""
    async with opened(address) as queue:
        for retry in (True, False):
            first = event("a.jpg")
            await put(queue, first)
            await bury(queue, first)
            await put(queue, event("a.jpg"))
            await deliver(queue)
            if retry:
                assert await queue.retry_dead_letter(first.id)
                assert (await deliver(queue)).is_late
            else:
                assert await queue.drop_dead_letter(first.id)
            await put(queue, event("a.jpg"))
            assert not (await deliver(queue)).is_late
