"""Hands events on to the apps' own servers: at least once, in order per object, until they are taken or too old."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from signer.circuit_breaker import CircuitBreaker, backoff_seconds
from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.events import ClaimedEvent, UploadEvent
from signer.delivery.queue import EventQueue, QueueUnavailable

log = logging.getLogger("oss_signer.callbacks")

TIMEOUT_SECONDS = 10.0
LEASE_SECONDS = 2 * TIMEOUT_SECONDS
"""How long a claim holds: nothing is sent any more in its second half, so no two workers send events of one object."""
MOST_AGE_SECONDS = 3 * 86400.0

_AT_ONCE = 64
_AT_ONCE_OF_AN_APP = 16
_JITTER = (0.8, 1.2)
_FIRST_SECONDS, _LAST_SECONDS = 1.0, 300.0
_FAILURE_THRESHOLD = 5
_TRIAL_MAX_SECONDS = 30.0
"""An app whose server has failed so often in a row is tried with one event at a time, after 30 s at the latest."""
_POLL_SECONDS = 0.5
_ENDING_SECONDS = 2.0

DELIVERED, FAILED, GIVEN_UP = "delivered", "failed", "given_up"


@dataclass(slots=True)
class _Standing:
    """How it goes with one app's server."""

    breaker: CircuitBreaker
    in_flight: int = 0

    def room(self) -> int:
        if not self.breaker.is_open:
            return _AT_ONCE_OF_AN_APP - self.in_flight
        return 0 if self.breaker.is_waiting or self.in_flight else 1


class Deliverer:
    """Make and close it in the event loop that it runs in."""

    def __init__(
        self,
        queue: EventQueue,
        outbound: aiohttp.ClientSession,
        target: Callable[[str], NotifyTarget | None],
        *,
        count: Callable[[str], None] = lambda outcome: None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        first_retry_seconds: float = _FIRST_SECONDS,
        most_age_seconds: float = MOST_AGE_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`target` says where an app's events go now; `count` is told each attempt's outcome."""
        self._queue = queue
        self._outbound = outbound
        self._target = target
        self._count = count
        self._timeout_seconds = timeout_seconds
        self._first_retry_seconds = first_retry_seconds
        self._most_age_seconds = most_age_seconds
        self._now = now
        self._standings: dict[str, _Standing] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._following = asyncio.create_task(self._follow(), name="notify")

    def wake(self) -> None:
        """There is something new in the queue."""
        self._wake.set()

    async def close(self) -> None:
        """Lets what is being sent end, for a moment; the rest is sent again after the next start."""
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)
        if self._sending:
            await asyncio.wait(self._sending, timeout=_ENDING_SECONDS)
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _follow(self) -> None:
        away = False
        while True:
            self._wake.clear()
            try:
                claims = await self._take()
                if away:
                    log.info("the callback queue is back")
                away = False
            except QueueUnavailable as error:
                claims = []
                if not away:
                    log.error("the callback queue is away", extra={"reason": str(error)})
                away = True
            except Exception:
                log.exception("internal error in the callback queue")
                claims = []
            for claim in claims:
                standing = self._standings.get(claim.event.app)
                if standing is None:
                    standing = self._standings[claim.event.app] = _Standing(self._new_breaker())
                standing.in_flight += 1
                task = asyncio.create_task(self._tell(claim))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
            if not claims:
                await self._wait()

    async def _take(self) -> list[ClaimedEvent]:
        free = _AT_ONCE - len(self._sending)
        if free <= 0:
            return []
        self._standings = {
            app: standing
            for app, standing in self._standings.items()
            if standing.in_flight or standing.breaker.failures
        }
        room = {app: standing.room() for app, standing in self._standings.items()}
        return await self._queue.take(free, room, _AT_ONCE_OF_AN_APP)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _tell(self, claim: ClaimedEvent) -> None:
        """One attempt, from its claim to its end in the queue."""
        app = claim.event.app
        standing = self._standings[app]
        try:
            if time.monotonic() + self._timeout_seconds > claim.until:
                return  # not its turn in time: somebody else may have the event before we are through
            why = await self._send(claim.event)
            if time.monotonic() >= claim.until:
                return
            if why is None:
                self._went_well(app, standing)
                await self._queue.done(claim)
            elif self._now() - claim.event.received_at > self._most_age_seconds:
                self._count(GIVEN_UP)
                log.error("a notification is given up, it is too old", extra=_said(claim.event, why))
                await self._queue.done(claim)
            else:
                self._went_wrong(claim, standing, why)
                await self._queue.later(claim, self._retry_seconds(claim.failures))
        except asyncio.CancelledError:
            await self._release(claim)
            raise
        except QueueUnavailable as error:
            # The claim ends by itself, and the event is sent once more.
            log.warning("the callback queue does not take an outcome", extra={"app": app, "reason": str(error)})
        except Exception:
            log.exception("internal error in a notification", extra={"app": app, "event_id": claim.event.id})
        finally:
            standing.in_flight -= 1
            self._wake.set()

    async def _release(self, claim: ClaimedEvent) -> None:
        try:
            async with asyncio.timeout(_ENDING_SECONDS):
                await asyncio.shield(self._queue.release(claim))
        except (TimeoutError, QueueUnavailable):
            pass

    async def _send(self, event: UploadEvent) -> str | None:
        """Why it did not succeed, or None. Never follows a redirect."""
        target = self._target(event.app)
        if target is None:
            return "the app has no notify any more"
        body = event.body
        timestamp = str(int(self._now()))
        headers = {
            "Content-Type": "application/json",
            "X-Oss-Signer-Event-Id": event.id,
            "X-Oss-Signer-Timestamp": timestamp,
            "X-Oss-Signer-Signature": "sha256=" + signature(target.secret, timestamp, body),
        }
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._outbound.post(target.url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                return None if 200 <= response.status < 300 else f"status {response.status}"
        except TimeoutError:
            return f"no answer within {self._timeout_seconds:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return type(error).__name__

    def _went_well(self, app: str, standing: _Standing) -> None:
        self._count(DELIVERED)
        if standing.breaker.is_open:
            log.info("notifications are taken again", extra={"app": app})
        standing.breaker.record_success()

    def _went_wrong(self, claim: ClaimedEvent, standing: _Standing, why: str) -> None:
        self._count(FAILED)
        standing.breaker.record_failure()
        log.warning(
            "a notification failed",
            extra={
                "app": claim.event.app,
                "event_id": claim.event.id,
                "attempt": claim.failures + 1,
                "reason": why,
                "waiting": self._queue.depth(),
            },
        )

    def _new_breaker(self) -> CircuitBreaker:
        return CircuitBreaker(
            failure_threshold=_FAILURE_THRESHOLD,
            first_delay_seconds=self._first_retry_seconds,
            max_delay_seconds=_TRIAL_MAX_SECONDS,
            jitter=_JITTER,
        )

    def _retry_seconds(self, earlier_failures: int) -> float:
        return backoff_seconds(
            earlier_failures + 1, first_seconds=self._first_retry_seconds, max_seconds=_LAST_SECONDS, jitter=_JITTER
        )


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of `timestamp.body`, in hex."""
    return hmac.digest(secret, timestamp.encode() + b"." + body, "sha256").hex()


def _said(event: UploadEvent, why: str) -> dict[str, object]:
    return {
        "app": event.app,
        "event_id": event.id,
        "received_at": event.received_at,
        "reason": why,
        "content": event.body.decode(errors="replace"),
    }
