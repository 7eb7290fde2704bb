"""Receive a callback of OSS: verify its signature, check its object, and queue its event before responding."""

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
from signer.delivery.queue import EventQueue, QueueFull, QueueUnavailable, UploadEvent
from signer.errors import Forbidden, Problem
from signer.signing.callback_field import check_proof
from signer.signing.key_ownership import is_key_of_app

log = logging.getLogger("oss_signer.callbacks")

RESPONSE_SECONDS = 2.5
"""The time limit from the request head to the response. OSS waits for 5 s.

See: https://help.aliyun.com/zh/oss/developer-reference/callback
"""
_LOG_INTERVAL_SECONDS = 60.0

ACCEPTED = "accepted"


class CallbackNotAccepted(Problem):
    """The event cannot be stored now. OSS responds 203 to the client: the object is stored, its app is not notified."""

    code, status, title = "callback_not_accepted", 503, "Callback not accepted"

    def __init__(self, detail: str, outcome: str) -> None:
        super().__init__(detail, retry_after_seconds=5)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """The HTTP request of a callback."""

    target: str
    """Path and query as in the request line."""
    headers: Mapping[str, str] = field(repr=False)
    read_body: Callable[[], Awaitable[bytes]] = field(repr=False)
    client_address: str = ""
    request_id: str = ""


class CallbackReceiver:
    """Accepts callbacks for all apps."""

    def __init__(
        self,
        verifier: CallbackVerifier,
        queue: EventQueue | None,
        *,
        wake_deliverer: Callable[[], None] = lambda: None,
        audit: Callable[[dict[str, object]], None] = lambda fields: None,
        count_callback: Callable[[str, str], None] = lambda app_id, outcome: None,
        now: Callable[[], float] = time.time,
        response_seconds: float = RESPONSE_SECONDS,
    ) -> None:
        """`queue` is None where no app has a `notify`; `wake_deliverer` is called after an event was queued.

        `audit` is called with the fields of each callback whose signature and object are valid, and `count_callback`
        with the app id and the outcome of each callback.
        """
        self._verifier = verifier
        self._queue = queue
        self._wake_deliverer = wake_deliverer
        self._audit = audit
        self._count_callback = count_callback
        self._now = now
        self._response_seconds = response_seconds
        self._logged_at: dict[str, float] = {}

    async def receive(self, rules: CallbackRules, request: CallbackRequest) -> str:
        """Return the key of the uploaded object once its event is stored durably. Raises a `Problem` otherwise."""
        try:
            async with asyncio.timeout(self._response_seconds):
                key = await self._receive(rules, request)
        except TimeoutError:
            self._count_callback(rules.app_id, "timeout")
            detail = f"the callback was not stored within {self._response_seconds:g} s"
            raise CallbackNotAccepted(detail, "timeout") from None
        except CallbackNotAccepted as problem:
            self._count_callback(rules.app_id, problem.outcome)
            raise
        except Problem as problem:
            self._count_callback(rules.app_id, problem.code)
            raise
        self._count_callback(rules.app_id, ACCEPTED)
        return key

    async def _receive(self, rules: CallbackRules, request: CallbackRequest) -> str:
        body = await request.read_body()
        _, mark, query = request.target.partition("?")
        # A proxy can have changed the path; OSS has signed the one in the app's callback.url.
        targets = dict.fromkeys((request.target, *(path + mark + query for path in rules.paths)))
        await self._verifier.verify(request.headers, tuple(targets), body)
        upload = rules.body_format.parse(body, request.headers.get("Content-Type", ""))
        caller = self._check_object(rules, upload, query)
        event = self._new_event(rules, upload, caller)
        outcome = "timeout"
        try:
            if rules.notify is not None:
                await self._enqueue(event)
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
                    "bucket": upload.bucket,
                    "key": upload.key,
                    "outcome": outcome,
                    "address": request.client_address,
                    "request_id": request.request_id,
                }
            )
        return upload.key

    def _check_object(self, rules: CallbackRules, upload: ReportedUpload, query: str) -> str | None:
        """Return the caller who uploaded the object, where the proof names one.

        Raises:
            Forbidden: No form of the app can have uploaded the object.
        """
        if rules.proof_secret is not None:
            scope = check_proof(query, rules.proof_secret, app_id=rules.app_id, bucket=upload.bucket)
            if not scope.allows(upload.key, self._now()):
                raise Forbidden("the form of this callback has expired, or is for another object")
            return scope.caller
        if upload.bucket != rules.bucket:
            raise Forbidden("the object is in another bucket than the one of this app")
        if not is_key_of_app(rules.naming, upload.key, app_id=rules.app_id):
            raise Forbidden("the object is not one of this app: its key has another prefix or name")
        return None

    def _new_event(self, rules: CallbackRules, upload: ReportedUpload, caller: str | None) -> UploadEvent:
        now = self._now()
        event_id = uuid.uuid4().hex
        document = {
            "id": event_id,
            "type": "upload",
            "app": rules.app_id,
            "bucket": upload.bucket,
            "key": upload.key,
            "caller": caller,
            "received_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "callback": upload.members,
        }
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return UploadEvent(event_id, rules.app_id, f"{rules.app_id}/{upload.bucket}/{upload.key}", body, now)

    async def _enqueue(self, event: UploadEvent) -> None:
        if self._queue is None:
            raise CallbackNotAccepted("this signer has no callback queue", "queue_unavailable")
        try:
            await self._queue.put(event)
        except QueueFull:
            self._log_sometimes("callback queue full", waiting=self._queue.depth())
            raise CallbackNotAccepted("the callback queue is full", "queue_full") from None
        except QueueUnavailable as error:
            self._log_sometimes("callback not stored", reason=str(error))
            raise CallbackNotAccepted("the callback queue is unavailable", "queue_unavailable") from None
        self._wake_deliverer()

    def _log_sometimes(self, message: str, **fields: object) -> None:
        """Log an error at most once a minute, however many callbacks fail."""
        now = time.monotonic()
        if now - self._logged_at.get(message, float("-inf")) > _LOG_INTERVAL_SECONDS:
            self._logged_at[message] = now
            log.error(message, extra=fields)
