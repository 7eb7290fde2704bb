"""/-/events lists dead letters; POST /-/events/retry and /-/events/drop deliver them again or delete them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from signer.admin.events_endpoints import PAGE_EVENTS
from signer.delivery.callback_service import CallbackQueue
from signer.delivery.queue import UploadEvent
from signer.delivery.queue_health import QueueHealth
from signer.delivery.sqlite_queue import SqliteQueue
from tests.admin.conftest import Admin, StartAdmin
from tests.delivery.queued_events import claim, event, put


class Queue:
    """The callback queue of a service whose deliverer is the test."""

    def __init__(self, path: Path, admin: Admin) -> None:
        self.events = SqliteQueue.open(path, lease_seconds=30.0, max_events=10_000)
        self.wake_ups = 0
        self.admin = admin
        admin.service.callback_queue = CallbackQueue(self.events, QueueHealth(), self._wake_up)

    def _wake_up(self) -> None:
        self.wake_ups += 1

    async def add_dead_letters(self, *events: UploadEvent) -> None:
        """Put events, and give them up."""
        await put(self.events, *events)
        for claimed in await claim(self.events, len(events)):
            await self.events.add_dead_letter(claimed, "status 400")

    async def ids(self, query: str = "") -> list[str]:
        """Return the ids of all pages."""
        found: list[str] = []
        following: str | None = ""
        while following is not None:
            page = await self.admin.get_json(f"/-/events?{query}&after={following}")
            found += [each["id"] for each in page["events"]]
            following = page["next"]
        return found

    async def post(self, action: str, document: Any, status: int = 200) -> Any:
        """Return the response to a change."""
        async with self.admin.client.post(f"/-/events/{action}", json=document) as response:
            assert response.status == status, await response.text()
            return await response.json(content_type=None)


@pytest.fixture
async def queue(start_admin: StartAdmin, tmp_path: Path) -> AsyncIterator[Queue]:
    queue = Queue(tmp_path / "q.db", await start_admin())
    yield queue
    await queue.events.close()


async def test_list_shows_each_dead_letter_with_its_event(queue: Queue) -> None:
    poison = event("照片.jpg", 7, received_at=1_790_000_000.0)
    await queue.add_dead_letters(poison)
    page = await queue.admin.get_json("/-/events")
    [shown] = page["events"]
    assert shown.pop("dead_lettered_at").startswith("20")
    assert shown == {
        "id": poison.id,
        "app": "a",
        "received_at": "2026-09-21T14:13:20Z",
        "attempts": 1,
        "reason": "status 400",
        "late": False,
        "event": {"id": poison.id, "app": "a", "name": "照片.jpg", "number": 7},
    }
    assert page["next"] is None


async def test_list_has_pages(queue: Queue) -> None:
    events = [event(f"{number}.jpg", app="ab"[number % 2]) for number in range(2 * PAGE_EVENTS + 1)]
    await queue.add_dead_letters(*events)
    assert sorted(await queue.ids()) == sorted(each.id for each in events)
    assert sorted(await queue.ids("app=b")) == sorted(each.id for each in events if each.app_id == "b")
    assert await queue.ids("app=unknown") == []


async def test_retried_events_are_queued_again_at_once(queue: Queue) -> None:
    first, second = event("a.jpg"), event("b.jpg")
    await queue.add_dead_letters(first, second)
    result = await queue.post("retry", {"ids": [first.id, "unknown", first.id]})
    assert result == {"retried": 1, "missing": ["unknown"]}
    assert queue.wake_ups == 1
    assert await queue.ids() == [second.id]
    assert [each.event for each in await claim(queue.events)] == [first]


async def test_dropped_events_are_deleted(queue: Queue) -> None:
    first, second = event("a.jpg"), event("b.jpg")
    await queue.add_dead_letters(first, second)
    assert await queue.post("drop", {"ids": [first.id]}) == {"dropped": 1, "missing": []}
    assert await queue.ids() == [second.id]
    assert await claim(queue.events) == []


@pytest.mark.parametrize("action", ["retry", "drop"])
async def test_dead_letters_of_an_app_or_all_are_changed(queue: Queue, action: str) -> None:
    """More than one page of them, and none of another app."""
    done = {"retry": "retried", "drop": "dropped"}[action]
    number = 2 * PAGE_EVENTS + 1
    await queue.add_dead_letters(*(event(f"{each}.jpg") for each in range(number)))
    await queue.add_dead_letters(*(other := [event(f"{each}.jpg", app="b") for each in range(3)]))
    assert await queue.post(action, {"app": "a"}) == {done: number, "missing": []}
    assert sorted(await queue.ids()) == sorted(each.id for each in other)
    assert await queue.post(action, {"all": True}) == {done: 3, "missing": []}
    assert await queue.ids() == []


async def test_what_another_operator_changes_meanwhile_is_not_missing(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only given ids can be missing, because a selection by app names none."""
    await queue.add_dead_letters(event("a.jpg"))

    async def is_gone(_event_id: str) -> bool:
        return False

    monkeypatch.setattr(queue.events, "drop_dead_letter", is_gone)
    assert await queue.post("drop", {"app": "a"}) == {"dropped": 0, "missing": []}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"all": False},
        {"ids": ["x"], "all": True},
        {"ids": "x"},
        {"ids": [1]},
        {"ids": ["x"] * 1001},
        {"app": 1},
        {"all": True, "unknown": 1},
        {"all": "true"},
        [],
    ],
)
async def test_invalid_selection_changes_nothing(queue: Queue, document: Any) -> None:
    await queue.add_dead_letters(event("a.jpg"))
    for action in ("retry", "drop"):
        problem = await queue.post(action, document, 400)
        assert problem["code"] == "invalid_request"
    assert len(await queue.ids()) == 1


@pytest.mark.parametrize("after", ["x", "-1", "9" * 30, "²"])
async def test_invalid_position_is_rejected(queue: Queue, after: str) -> None:
    await queue.admin.get_json(f"/-/events?after={after}", 400)


async def test_without_a_queue_there_are_no_events(start_admin: StartAdmin) -> None:
    admin = await start_admin()
    problem = await admin.get_json("/-/events", 404)
    assert "server.callback_queue" in problem["detail"]
    for action in ("retry", "drop"):
        async with admin.client.post(f"/-/events/{action}", json={"all": True}) as response:
            assert response.status == 404


async def test_unavailable_queue_is_an_error(start_admin: StartAdmin, tmp_path: Path) -> None:
    (tmp_path / "q.db").mkdir()
    queue = Queue(tmp_path / "q.db", await start_admin())
    try:
        async with queue.admin.client.get("/-/events") as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
            assert (await response.json())["error"].startswith("the callback queue is unavailable: ")
        for action in ("retry", "drop"):
            assert "error" in await queue.post(action, {"all": True}, 503)
    finally:
        await queue.events.close()


async def test_get_changes_nothing(queue: Queue) -> None:
    for action in ("retry", "drop"):
        async with queue.admin.client.get(f"/-/events/{action}") as response:
            assert (response.status, response.headers["Allow"]) == (405, "POST")


async def test_status_shows_dead_letters_and_an_unavailable_queue(queue: Queue) -> None:
    await queue.add_dead_letters(event("a.jpg"))
    assert queue.admin.service.callback_queue is not None
    queue.admin.service.callback_queue.health.record_failure("the disk is full")
    status = await queue.admin.get_json("/status")
    assert (status["dead_letters"], status["callback_queue_error"]) == (1, "the disk is full")
    assert len(status["troubles"]) == 2
    assert "the disk is full" in await queue.admin.page()
