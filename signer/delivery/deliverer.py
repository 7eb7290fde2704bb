"""Deliver queued events to the apps' own servers, and retry until a server accepts them or they become dead letters.

An event is a callback of OSS after an upload; delivering it means posting it to the URL of `callback.notify`. Each
event is delivered at least once. The queue hands out the events of one object in order, see `EventQueue`.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable

import aiohttp

from signer.circuit_breaker import backoff_seconds
from signer.delivery.app_server import MAX_IN_FLIGHT_PER_SERVER, RETRY_JITTER, AppServer, FailedAttempt
from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.notification import send_event
from signer.delivery.queue import MAX_RETRY_DELAY_SECONDS, ClaimedEvent, DeadLetter, EventQueue, QueueUnavailable
from signer.delivery.queue_health import QueueHealth
from signer.delivery.rejections import add_rejection

log = logging.getLogger("oss_signer.callbacks")

TIMEOUT_SECONDS = 10.0
"""The default time limit of one attempt."""
MAX_AGE_SECONDS = 3 * 86400.0
"""An event that is older becomes a dead letter after its next failed attempt."""

_MAX_IN_FLIGHT_TOTAL = 64
_MAX_IN_FLIGHT_TO_FAILING = 32
"""The limit for all failing servers together."""
_FIRST_RETRY_SECONDS, _MAX_RETRY_SECONDS = 1.0, MAX_RETRY_DELAY_SECONDS / RETRY_JITTER[1]
_POLL_SECONDS = 0.5
_STOP_TIMEOUT_SECONDS = 2.0
_DUPLICATE_CLAIM_DELAY_SECONDS = 1.0

DELIVERED, FAILED, DEAD_LETTERED, DROPPED = "delivered", "failed", "dead_lettered", "dropped"


class Deliverer:
    """Sends the events of a queue. Call `start` and `stop` in the same event loop."""

    def __init__(
        self,
        queue: EventQueue,
        session: aiohttp.ClientSession,
        target_of: Callable[[str], NotifyTarget | None],
        *,
        health: QueueHealth | None = None,
        count_outcome: Callable[[str], None] = lambda outcome: None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        first_retry_seconds: float = _FIRST_RETRY_SECONDS,
        max_age_seconds: float = MAX_AGE_SECONDS,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`target_of` returns the current target of an app id, or None if the app has none.

        `health` records whether the queue works. `count_outcome` is called with the outcome of each attempt that ends
        within its lease, and with `dropped` for each dead letter that is dropped.
        """
        self._queue = queue
        self._session = session
        self._target_of = target_of
        self._health = health or QueueHealth()
        self._count_outcome = count_outcome
        self._timeout_seconds = timeout_seconds
        self._first_retry_seconds = first_retry_seconds
        self._max_age_seconds = max_age_seconds
        self._now = now
        self._monotonic = monotonic
        self._servers: dict[str, AppServer] = {}
        """By app id. A server is removed when a new `AppServer` would be in the same state."""
        self._attempts: dict[str, asyncio.Task[None]] = {}
        """By object id."""
        self._releases: set[asyncio.Task[None]] = set()
        self._wake_up = asyncio.Event()
        self._background_task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the background task that delivers events."""
        self._background_task = asyncio.create_task(self._run(), name="deliver events")

    def wake(self) -> None:
        """Check the queue now, for example because there is a new event."""
        self._wake_up.set()

    async def stop(self) -> None:
        """Stop the background task. Attempts in flight get 2 s to end; events of cancelled attempts are sent again."""
        if self._background_task is not None:
            self._background_task.cancel()
            await asyncio.gather(self._background_task, return_exceptions=True)
        attempts = list(self._attempts.values())
        if attempts:
            await asyncio.wait(attempts, timeout=_STOP_TIMEOUT_SECONDS)
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, *self._releases, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._wake_up.clear()
            claimed_events = await self._claim_events()
            for claimed in claimed_events:
                self._start_attempt(claimed)
            if not claimed_events:
                await self._wait_for_wake_up()

    async def _claim_events(self) -> list[ClaimedEvent]:
        free_slots = _MAX_IN_FLIGHT_TOTAL - len(self._attempts)
        if free_slots <= 0:
            return []
        try:
            claimed_events = await self._queue.claim(free_slots, self._slots_by_app(), MAX_IN_FLIGHT_PER_SERVER)
        except QueueUnavailable as error:
            self._health.record_failure(str(error))
            return []
        except Exception:
            log.exception("internal error in the callback queue")
            self._health.record_failure("internal error; see the log")
            return []
        self._health.record_success()
        return claimed_events

    def _slots_by_app(self) -> dict[str, int]:
        """Return the free slots, by app id, of servers that are failing or have events in flight.

        All failing servers together have `_MAX_IN_FLIGHT_TO_FAILING` slots.
        """
        self._servers = {app_id: server for app_id, server in self._servers.items() if not server.is_as_new}
        failing = [app_id for app_id, server in self._servers.items() if server.is_failing]
        slots = {app_id: server.free_slots() for app_id, server in self._servers.items() if server.in_flight}
        slots |= {app_id: self._servers[app_id].free_slots() for app_id in failing}
        shared_slots = _MAX_IN_FLIGHT_TO_FAILING - sum(self._servers[app_id].in_flight for app_id in failing)
        random.shuffle(failing)
        for app_id in failing:
            slots[app_id] = max(0, min(slots[app_id], shared_slots))
            shared_slots -= slots[app_id]
        return slots

    def _start_attempt(self, claimed: ClaimedEvent) -> None:
        event = claimed.event
        if event.object_id in self._attempts:
            # The lease of the running attempt ended early: Redis's clock was set, or the queue file was replaced.
            release = asyncio.create_task(self._release(claimed, _DUPLICATE_CLAIM_DELAY_SECONDS))
            self._releases.add(release)
            release.add_done_callback(self._releases.discard)
            return
        target = self._target_of(event.app_id)
        url = "" if target is None else target.url
        server = self._servers.get(event.app_id)
        if server is None or server.url != url:
            server = AppServer(url, first_retry_seconds=self._first_retry_seconds, monotonic=self._monotonic)
            self._servers[event.app_id] = server
        server.in_flight += 1
        self._attempts[event.object_id] = asyncio.create_task(self._attempt(claimed, server, target))

    async def _wait_for_wake_up(self) -> None:
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await self._wake_up.wait()
        except TimeoutError:
            pass

    async def _attempt(self, claimed: ClaimedEvent, server: AppServer, target: NotifyTarget | None) -> None:
        """Send a claimed event once, and record the outcome in the queue."""
        event = claimed.event
        try:
            if self._monotonic() + self._timeout_seconds > claimed.lease_ends_at:
                return  # The lease could end during the attempt, and another process could send the event meanwhile.
            failure = await send_event(
                self._session, target, claimed, timeout_seconds=self._timeout_seconds, now=self._now()
            )
            if self._monotonic() < claimed.lease_ends_at:  # Later, another process may have the event.
                await self._record_outcome(claimed, server, failure)
        except asyncio.CancelledError:
            await self._release(claimed)
            raise
        except QueueUnavailable as error:
            # The lease ends by itself, and the event is sent again.
            log.warning("delivery outcome not stored", extra={"app": event.app_id, "reason": str(error)})
        except Exception:
            log.exception("internal error in a delivery", extra={"app": event.app_id, "event_id": event.id})
        finally:
            server.in_flight -= 1
            del self._attempts[event.object_id]
            self._wake_up.set()

    async def _record_outcome(self, claimed: ClaimedEvent, server: AppServer, failure: FailedAttempt | None) -> None:
        if failure is None:
            self._count_outcome(DELIVERED)
            if server.record_acceptance():
                log.info("deliveries accepted again", extra={"app": claimed.event.app_id})
            await self._queue.remove(claimed)
            return
        now = self._now()
        counts_against_event = server.record_failure(failure)
        rejections = add_rejection(claimed.rejections, now) if counts_against_event else None
        fields = {
            "app": claimed.event.app_id,
            "event_id": claimed.event.id,
            "attempt": claimed.failures + 1,
            "reason": failure.reason,
            "counts_against": "server" if rejections is None else "event",
        }
        waiting_since = claimed.event.received_at if claimed.retried_at is None else claimed.retried_at
        if (rejections is not None and rejections.are_final) or now - waiting_since > self._max_age_seconds:
            await self._add_dead_letter(claimed, failure.reason, fields)
            return
        self._count_outcome(FAILED)
        log.warning("delivery failed", extra={**fields, "waiting": self._queue.depth()})
        await self._queue.retry_later(claimed, self._retry_delay_seconds(claimed.failures + 1), rejections=rejections)

    async def _add_dead_letter(self, claimed: ClaimedEvent, reason: str, fields: dict[str, object]) -> None:
        dropped = await self._queue.add_dead_letter(claimed, reason)
        self._count_outcome(DEAD_LETTERED)
        log.error("event became a dead letter", extra=fields)
        for letter in dropped:
            self._count_outcome(DROPPED)
            log.error("dead letter dropped", extra=_log_fields_of_dropped(letter))

    async def _release(self, claimed: ClaimedEvent, delay_seconds: float = 0.0) -> None:
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_SECONDS):
                await asyncio.shield(self._queue.release(claimed, delay_seconds))
        except (TimeoutError, QueueUnavailable):
            pass

    def _retry_delay_seconds(self, failures: int) -> float:
        return backoff_seconds(
            failures, first_seconds=self._first_retry_seconds, max_seconds=_MAX_RETRY_SECONDS, jitter=RETRY_JITTER
        )


def _log_fields_of_dropped(letter: DeadLetter) -> dict[str, object]:
    """Return the whole event, so that an operator can deliver it by hand."""
    return {
        "app": letter.event.app_id,
        "event_id": letter.event.id,
        "received_at": letter.event.received_at,
        "reason": letter.reason,
        "fix": "the app has reached its limit of dead letters; retry or drop them earlier with oss-signer events",
        "content": letter.event.body.decode(errors="replace"),
    }
