"""Deliver queued events to the apps' own servers, and retry until a server accepts them or they are too old.

An event is a callback of OSS after an upload; delivering it means posting it to the URL of `callback.notify`. Each
event is delivered at least once. The queue hands out the events of one object in order, see `EventQueue`.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from signer.circuit_breaker import CircuitBreaker, backoff_seconds
from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.queue import ClaimedEvent, EventQueue, QueueUnavailable, UploadEvent

log = logging.getLogger("oss_signer.callbacks")

TIMEOUT_SECONDS = 10.0
"""The default time limit of one attempt."""
MAX_AGE_SECONDS = 3 * 86400.0
"""An event that is older is dropped after its next failed attempt."""

_MAX_IN_FLIGHT = 64
_MAX_IN_FLIGHT_PER_APP = 16
_FIRST_RETRY_SECONDS, _MAX_RETRY_SECONDS = 1.0, 300.0
_RETRY_JITTER = (0.8, 1.2)
_FAILURE_THRESHOLD = 5
_MAX_TRIAL_DELAY_SECONDS = 30.0
_POLL_SECONDS = 0.5
_STOP_TIMEOUT_SECONDS = 2.0

DELIVERED, FAILED, GIVEN_UP = "delivered", "failed", "given_up"


@dataclass(slots=True)
class _AppServer:
    """The state of one app's server. A server that keeps failing gets one event at a time, as a trial."""

    breaker: CircuitBreaker
    in_flight: int = 0

    def free_slots(self) -> int:
        """Return how many more events may be sent to the server now."""
        if not self.breaker.is_open:
            return _MAX_IN_FLIGHT_PER_APP - self.in_flight
        return 0 if self.breaker.is_waiting or self.in_flight else 1


class Deliverer:
    """Sends the events of a queue. Call `start` and `stop` in the same event loop."""

    def __init__(
        self,
        queue: EventQueue,
        session: aiohttp.ClientSession,
        target_of: Callable[[str], NotifyTarget | None],
        *,
        count_attempt: Callable[[str], None] = lambda outcome: None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        first_retry_seconds: float = _FIRST_RETRY_SECONDS,
        max_age_seconds: float = MAX_AGE_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`target_of` returns where the events of an app id go at the moment, or None for nowhere.

        `count_attempt` is called with the outcome of each attempt that ends within its lease.
        """
        self._queue = queue
        self._session = session
        self._target_of = target_of
        self._count_attempt = count_attempt
        self._timeout_seconds = timeout_seconds
        self._first_retry_seconds = first_retry_seconds
        self._max_age_seconds = max_age_seconds
        self._now = now
        self._servers: dict[str, _AppServer] = {}
        """By app id; only servers with attempts in flight or with failures."""
        self._attempts: set[asyncio.Task[None]] = set()
        self._wake_up = asyncio.Event()
        self._is_queue_available = True
        self._background_task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the background task that delivers events."""
        self._background_task = asyncio.create_task(self._run(), name="deliver events")

    def wake(self) -> None:
        """Look into the queue now, because there is a new event."""
        self._wake_up.set()

    async def stop(self) -> None:
        """Stop the background task. Attempts in flight get 2 s to end; events of cancelled attempts are sent again."""
        if self._background_task is not None:
            self._background_task.cancel()
            await asyncio.gather(self._background_task, return_exceptions=True)
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=_STOP_TIMEOUT_SECONDS)
        for attempt in self._attempts:
            attempt.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._wake_up.clear()
            claimed_events = await self._claim_events()
            for claimed in claimed_events:
                self._start_attempt(claimed)
            if not claimed_events:
                await self._wait_for_wake_up()

    async def _claim_events(self) -> list[ClaimedEvent]:
        free_slots = _MAX_IN_FLIGHT - len(self._attempts)
        if free_slots <= 0:
            return []
        self._servers = {
            app_id: server for app_id, server in self._servers.items() if server.in_flight or server.breaker.failures
        }
        slots_by_app = {app_id: server.free_slots() for app_id, server in self._servers.items()}
        try:
            claimed_events = await self._queue.claim(free_slots, slots_by_app, _MAX_IN_FLIGHT_PER_APP)
        except QueueUnavailable as error:
            if self._is_queue_available:
                log.error("callback queue unavailable", extra={"reason": str(error)})
            self._is_queue_available = False
            return []
        except Exception:
            log.exception("internal error in the callback queue")
            return []
        if not self._is_queue_available:
            log.info("callback queue available again")
        self._is_queue_available = True
        return claimed_events

    def _start_attempt(self, claimed: ClaimedEvent) -> None:
        app_id = claimed.event.app_id
        server = self._servers.get(app_id)
        if server is None:
            server = self._servers[app_id] = _AppServer(self._new_breaker())
        server.in_flight += 1
        attempt = asyncio.create_task(self._attempt(claimed, server))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)

    async def _wait_for_wake_up(self) -> None:
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await self._wake_up.wait()
        except TimeoutError:
            pass

    async def _attempt(self, claimed: ClaimedEvent, server: _AppServer) -> None:
        """Send a claimed event once, and record the outcome in the queue."""
        event = claimed.event
        try:
            if time.monotonic() + self._timeout_seconds > claimed.lease_ends_at:
                return  # The lease could end during the attempt, and another process could send the event meanwhile.
            failure = await self._send(event)
            if time.monotonic() < claimed.lease_ends_at:  # else the outcome of another process counts
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
            self._wake_up.set()

    async def _send(self, event: UploadEvent) -> str | None:
        """Post the event without following redirects. Return the reason of a failure, or None after a success."""
        target = self._target_of(event.app_id)
        if target is None:
            return "callback.notify of the app is no longer set"
        timestamp = str(int(self._now()))
        headers = {
            "Content-Type": "application/json",
            "X-Oss-Signer-Event-Id": event.id,
            "X-Oss-Signer-Timestamp": timestamp,
            "X-Oss-Signer-Signature": "sha256=" + event_signature(target.secret, timestamp, event.body),
        }
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._session.post(target.url, data=event.body, headers=headers, allow_redirects=False) as response,
            ):
                return None if 200 <= response.status < 300 else f"status {response.status}"
        except TimeoutError:
            return f"no response within {self._timeout_seconds:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return type(error).__name__

    async def _record_outcome(self, claimed: ClaimedEvent, server: _AppServer, failure: str | None) -> None:
        event = claimed.event
        if failure is None:
            self._count_attempt(DELIVERED)
            if server.breaker.is_open:
                log.info("deliveries accepted again", extra={"app": event.app_id})
            server.breaker.record_success()
            await self._queue.remove(claimed)
        elif self._now() - event.received_at > self._max_age_seconds:
            self._count_attempt(GIVEN_UP)
            log.error("delivery given up", extra=_log_fields_of_given_up(event, failure))
            await self._queue.remove(claimed)
        else:
            self._count_attempt(FAILED)
            server.breaker.record_failure()
            fields = {
                "app": event.app_id,
                "event_id": event.id,
                "attempt": claimed.failures + 1,
                "reason": failure,
                "waiting": self._queue.depth(),
            }
            log.warning("delivery failed", extra=fields)
            await self._queue.retry_later(claimed, self._retry_delay_seconds(claimed.failures + 1))

    async def _release(self, claimed: ClaimedEvent) -> None:
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_SECONDS):
                await asyncio.shield(self._queue.release(claimed))
        except (TimeoutError, QueueUnavailable):
            pass

    def _new_breaker(self) -> CircuitBreaker:
        return CircuitBreaker(
            failure_threshold=_FAILURE_THRESHOLD,
            first_delay_seconds=self._first_retry_seconds,
            max_delay_seconds=_MAX_TRIAL_DELAY_SECONDS,
            jitter=_RETRY_JITTER,
        )

    def _retry_delay_seconds(self, failures: int) -> float:
        return backoff_seconds(
            failures, first_seconds=self._first_retry_seconds, max_seconds=_MAX_RETRY_SECONDS, jitter=_RETRY_JITTER
        )


def event_signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of the timestamp, a dot and the body, in hex."""
    return hmac.digest(secret, timestamp.encode() + b"." + body, "sha256").hex()


def _log_fields_of_given_up(event: UploadEvent, reason: str) -> dict[str, object]:
    """Return the whole event, so that an operator can deliver it by hand."""
    return {
        "app": event.app_id,
        "event_id": event.id,
        "received_at": event.received_at,
        "reason": reason,
        "content": event.body.decode(errors="replace"),
    }
