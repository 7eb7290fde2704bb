"""A callback from its arrival to the answer: is it OSS's, is it of the app's own object, is it kept for sure."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from signer.delivery.callback_body import ReportedUpload
from signer.delivery.callback_rules import CallbackRules
from signer.delivery.callback_signature import CallbackVerifier
from signer.delivery.events import UploadEvent
from signer.delivery.key_ownership import is_key_of_app
from signer.delivery.queue import EventQueue, QueueFull, QueueUnavailable
from signer.errors import Forbidden, Problem
from signer.signing.callback_proof import check_proof

log = logging.getLogger("oss_signer.callbacks")

ANSWER_SECONDS = 2.5
"""From the head of the request to its answer. OSS itself waits for 5 s."""
_TELL_AGAIN_SECONDS = 60.0

ACCEPTED = "accepted"


class CallbackNotAccepted(Problem):
    """OSS tells the client 203: the object is stored, and its app not told."""

    code, status, title = "callback_not_taken", 503, "Callback not taken"

    def __init__(self, detail: str, outcome: str) -> None:
        super().__init__(detail, retry_after_seconds=5)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """A callback as it came in."""

    target: str
    """Path and query, as the request line has them."""
    headers: Mapping[str, str] = field(repr=False)
    read_body: Callable[[], Awaitable[bytes]] = field(repr=False)
    address: str = ""
    request_id: str = ""


class CallbackReceiver:
    def __init__(
        self,
        signatures: CallbackVerifier,
        queue: EventQueue | None,
        *,
        wake: Callable[[], None] = lambda: None,
        audit: Callable[[dict[str, object]], None] = lambda event: None,
        count: Callable[[str, str], None] = lambda app, outcome: None,
        now: Callable[[], float] = time.time,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """`queue` may be None where no app has a `notify`; `wake` says that there is something new in it.

        `audit` is given one event for each callback that is truly OSS's; `count` the app and what came of it.
        """
        self._signatures = signatures
        self._queue = queue
        self._wake = wake
        self._audit = audit
        self._count = count
        self._now = now
        self._answer_seconds = answer_seconds
        self._told_at: dict[str, float] = {}

    async def receive(self, rules: CallbackRules, received: CallbackRequest) -> str:
        """The key of what was uploaded, once it is kept for sure. Raises a `Problem`, in time for OSS."""
        try:
            async with asyncio.timeout(self._answer_seconds):
                key = await self._receive(rules, received)
        except TimeoutError:
            self._count(rules.app_id, "timeout")
            raise CallbackNotAccepted(f"not done within {self._answer_seconds:g} s", "timeout") from None
        except CallbackNotAccepted as problem:
            self._count(rules.app_id, problem.outcome)
            raise
        except Problem as problem:
            self._count(rules.app_id, problem.code)
            raise
        self._count(rules.app_id, ACCEPTED)
        return key

    async def _receive(self, rules: CallbackRules, received: CallbackRequest) -> str:
        body = await received.read_body()
        _, mark, query = received.target.partition("?")
        # A proxy may hand on another path than OSS called, which is that of the app's callback.url.
        targets = dict.fromkeys((received.target, *(path + mark + query for path in rules.paths)))
        await self._signatures.check(received.headers, tuple(targets), body)
        uploaded = rules.body.read(body, received.headers.get("Content-Type", ""))
        caller = self._check_place(rules, uploaded, query)
        event = self._event(rules, uploaded, caller)
        outcome = "timeout"
        try:
            if rules.notify is not None:
                await self._keep(event)
            outcome = ACCEPTED
        except CallbackNotAccepted as problem:
            outcome = problem.outcome
            raise
        finally:
            self._audit(
                {
                    "event_id": event.id,
                    "app": rules.app_id,
                    "caller": caller,
                    "bucket": uploaded.bucket,
                    "key": uploaded.key,
                    "outcome": outcome,
                    "address": received.address,
                    "request_id": received.request_id,
                }
            )
        return uploaded.key

    def _check_place(self, rules: CallbackRules, uploaded: ReportedUpload, query: str) -> str | None:
        """Who uploaded it, where that is known. Raises `Forbidden` for what the app's forms cannot have uploaded."""
        if rules.proof_secret is not None:
            scope = check_proof(query, rules.proof_secret, app_id=rules.app_id, bucket=uploaded.bucket)
            if not scope.allows(uploaded.key, self._now()):
                raise Forbidden("the form of this callback is over, or is one for another object")
            return scope.caller
        if uploaded.bucket != rules.bucket:
            raise Forbidden("the upload went to another bucket than this app's")
        if not is_key_of_app(rules.naming, rules.app_id, uploaded.key):
            raise Forbidden("the object is none of this app's: its key has another prefix or shape")
        return None

    def _event(self, rules: CallbackRules, uploaded: ReportedUpload, caller: str | None) -> UploadEvent:
        now = self._now()
        event_id = uuid.uuid4().hex
        document = {
            "id": event_id,
            "type": "upload",
            "app": rules.app_id,
            "bucket": uploaded.bucket,
            "key": uploaded.key,
            "caller": caller,
            "received_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "callback": uploaded.members,
        }
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return UploadEvent(event_id, rules.app_id, f"{rules.app_id}/{uploaded.bucket}/{uploaded.key}", body, now)

    async def _keep(self, event: UploadEvent) -> None:
        if self._queue is None:
            raise CallbackNotAccepted("there is no queue for notifications", "queue_unavailable")
        try:
            await self._queue.put(event)
        except QueueFull:
            self._tell("the callback queue is full; callbacks are refused", waiting=self._queue.depth())
            raise CallbackNotAccepted("too many notifications wait", "queue_full") from None
        except QueueUnavailable as error:
            self._tell("callbacks cannot be kept; they are refused", reason=str(error))
            raise CallbackNotAccepted("the notification cannot be kept right now", "queue_unavailable") from None
        self._wake()

    def _tell(self, message: str, **about: object) -> None:
        """Once a minute, however many callbacks come."""
        now = time.monotonic()
        if now - self._told_at.get(message, float("-inf")) > _TELL_AGAIN_SECONDS:
            self._told_at[message] = now
            log.error(message, extra=about)
