"""`/-/events` lists dead letters; `POST /-/events/retry` and `/-/events/drop` deliver them again or delete them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from signer.clock import rfc3339
from signer.delivery.callback_service import CallbackQueue
from signer.delivery.queue import DeadLetter, EventQueue, QueueUnavailable
from signer.errors import InvalidRequest, NotFound
from signer.http.reply import Reply, json_reply
from signer.http.router import Handler, Router
from signer.revision import Context
from signer.service import Service

log = logging.getLogger("oss_signer.callbacks")

PAGE_EVENTS = 100
MAX_IDS = 1000
"""Of one request."""
_MAX_POSITION_DIGITS = 18
_FIX = 'send {"ids": [...]}, {"app": "..."} or {"all": true}'


class DeadLetterSelection(BaseModel):
    """The dead letters that a request is about; exactly one member."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ids: list[str] | None = Field(default=None, max_length=MAX_IDS)
    app: str | None = None
    all: bool = False

    @model_validator(mode="after")
    def _has_one_member(self) -> Self:
        if (self.ids is not None) + (self.app is not None) + self.all != 1:
            raise ValueError(_FIX)
        return self


def add_event_routes(router: Router, service: Service) -> None:
    """Add the routes; they respond 404 without `server.callback_queue`."""
    router.add("GET", "/-/events", _list_handler(service))
    retry = _change_handler(service, "retried", lambda queue, event_id: queue.retry_dead_letter(event_id))
    drop = _change_handler(service, "dropped", lambda queue, event_id: queue.drop_dead_letter(event_id))
    router.add("POST", "/-/events/retry", retry)
    router.add("POST", "/-/events/drop", drop)


def _list_handler(service: Service) -> Handler:
    async def list_events(context: Context) -> Reply:
        """Return a page of dead letters, of `?app=` or of all, from the position `?after=` on."""
        queue = _queue(service)
        app, after = context.query.get("app"), context.query.get("after", "")
        if after and not (after.isdecimal() and len(after) <= _MAX_POSITION_DIGITS):
            raise InvalidRequest("after is not a position; use the member next of a response")
        try:
            letters = await queue.events.dead_letters(app, after=after, limit=PAGE_EVENTS)
        except QueueUnavailable as error:
            return _unavailable(error)
        following = letters[-1].position if len(letters) == PAGE_EVENTS else None
        return json_reply({"events": [_members(letter) for letter in letters], "next": following})

    return list_events


def _change_handler(service: Service, done: str, change: Callable[[EventQueue, str], Awaitable[bool]]) -> Handler:
    """Return a handler; `done` is the member of the response with the number of changed dead letters."""

    async def change_events(context: Context) -> Reply:
        """Change the selected dead letters. Return how many, and the given ids that are not those of dead letters."""
        queue = _queue(service)
        selection = await _selection(context)
        try:
            ids = await _selected_ids(queue.events, selection)
            are_changed: list[bool] = []
            for start in range(0, len(ids), PAGE_EVENTS):
                batch = ids[start : start + PAGE_EVENTS]
                are_changed += await asyncio.gather(*(change(queue.events, event_id) for event_id in batch))
        except QueueUnavailable as error:
            return _unavailable(error)
        finally:
            queue.deliver_soon()
        missing = [event_id for event_id, is_changed in zip(ids, are_changed, strict=True) if not is_changed]
        count = len(ids) - len(missing)
        fields = {"outcome": done, "count": count, "app": selection.app, "event_ids": selection.ids}
        log.info("dead letters changed", extra=fields)
        return json_reply({done: count, "missing": missing if selection.ids is not None else []})

    return change_events


def _queue(service: Service) -> CallbackQueue:
    if service.callback_queue is None:
        raise NotFound("this signer has no callback queue; set server.callback_queue")
    return service.callback_queue


async def _selection(context: Context) -> DeadLetterSelection:
    try:
        return DeadLetterSelection.model_validate_json(await context.body.read())
    except ValidationError:
        raise InvalidRequest(f"the body does not select dead letters; {_FIX}") from None


async def _selected_ids(queue: EventQueue, selection: DeadLetterSelection) -> list[str]:
    if selection.ids is not None:
        return list(dict.fromkeys(selection.ids))
    ids: list[str] = []
    after = ""
    while letters := await queue.dead_letters(selection.app, after=after, limit=PAGE_EVENTS):
        ids += [letter.event.id for letter in letters]
        after = letters[-1].position
    return ids


def _members(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.event.id,
        "app": letter.event.app_id,
        "received_at": _time(letter.event.received_at),
        "dead_lettered_at": _time(letter.dead_lettered_at),
        "attempts": letter.failures,
        "reason": letter.reason,
        "late": letter.is_late,
        "event": orjson.Fragment(letter.event.body),
    }


def _time(epoch_seconds: float) -> str:
    return rfc3339(datetime.fromtimestamp(epoch_seconds, UTC))


def _unavailable(error: QueueUnavailable) -> Reply:
    return json_reply({"error": f"the callback queue is unavailable: {error}"}, 503, headers={"Retry-After": "5"})
