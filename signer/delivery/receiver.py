"""Receive a callback of OSS: verify it, check its object, and queue its event before responding.

The checks are in the order of their cost, so that a flood of forged callbacks costs little. Without the proof of a
form, a callback counts against no limit. Each limit belongs to one form or one app, so a client that repeats its
callbacks does not stop others.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from signer.delivery.callback_body import ReportedUpload
from signer.delivery.callback_rules import CallbackRules
from signer.delivery.callback_signature import CallbackVerifier
from signer.delivery.queue import EventQueue, QueueFull, QueueUnavailable, UploadEvent
from signer.delivery.queue_health import QueueHealth
from signer.errors import CallbackNotAccepted, Forbidden, Problem
from signer.signing.callback_field import CallbackProof, check_proof
from signer.signing.key_ownership import is_key_of_app

log = logging.getLogger("oss_signer.callbacks")

RESPONSE_SECONDS = 2.5
"""The time limit from the request head to the response. OSS waits for 5 s.

See: https://help.aliyun.com/zh/oss/developer-reference/callback
"""
_LOG_INTERVAL_SECONDS = 60.0
_CLOCK_DIFFERENCE_SECONDS = 5 * 60
"""Between signers that share a queue: an id is remembered until every one of them rejects its proof."""

ACCEPTED, REPEATED = "accepted", "repeated"


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
        health: QueueHealth | None = None,
        wake_deliverer: Callable[[], None] = lambda: None,
        limit: Callable[[str, CallbackProof | None], Awaitable[object]] | None = None,
        audit: Callable[[dict[str, object]], None] = lambda fields: None,
        count_callback: Callable[[str, str], None] = lambda app_id, outcome: None,
        now: Callable[[], float] = time.time,
        response_seconds: float = RESPONSE_SECONDS,
    ) -> None:
        """`queue` is None where no app has a `notify`; `wake_deliverer` is called after an event was queued.

        `health` records whether the queue works.
        `limit` is awaited with the app id and the proof, and raises `RateLimited` for too many callbacks.
        `audit` is called with the fields of each callback whose signature and object are valid, and `count_callback`
        with the app id and the outcome of each callback.
        """
        self._verifier = verifier
        self._queue = queue
        self._health = health or QueueHealth()
        self._wake_deliverer = wake_deliverer
        self._limit = limit
        self._audit = audit
        self._count_callback = count_callback
        self._now = now
        self._response_seconds = response_seconds
        self._logged_at: dict[str, float] = {}
        """By app id."""

    async def receive(self, rules: CallbackRules, request: CallbackRequest) -> str:
        """Return the key of the uploaded object once its event is stored durably. Raises a `Problem` otherwise."""
        try:
            async with asyncio.timeout(self._response_seconds):
                key, outcome = await self._receive(rules, request)
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
        self._count_callback(rules.app_id, outcome)
        return key

    async def _receive(self, rules: CallbackRules, request: CallbackRequest) -> tuple[str, str]:
        """Return the key of the object and the outcome."""
        _, mark, query = request.target.partition("?")
        proof = None
        if rules.proof_secret is not None:
            proof = check_proof(query, rules.proof_secret, app_id=rules.app_id, now=self._now())
            await self._apply_limits(rules, proof)
        body = await request.read_body()
        # A proxy can have changed the path; OSS has signed the one in the app's callback.url.
        targets = dict.fromkeys((request.target, *(path + mark + query for path in rules.paths)))
        await self._verifier.verify(request.headers, tuple(targets), body)
        if proof is None:
            await self._apply_limits(rules, None)
        upload = rules.body_format.parse(body, request.headers.get("Content-Type", ""))
        _check_object(rules, upload, proof)
        event_id = _event_id(rules.app_id, proof, body)
        outcome = "timeout"
        try:
            # Without a proof, the app has no `notify`, and its events go nowhere.
            outcome = ACCEPTED if proof is None else await self._enqueue(rules, event_id, upload, proof)
        except CallbackNotAccepted as problem:
            outcome = problem.outcome
            raise
        finally:
            if outcome != REPEATED:
                self._audit(
                    {
                        "event_id": event_id,
                        "app": rules.app_id,
                        "caller": None if proof is None else proof.scope.caller,
                        "bucket": upload.bucket,
                        "key": upload.key,
                        "outcome": outcome,
                        "address": request.client_address,
                        "request_id": request.request_id,
                    }
                )
        return upload.key, outcome

    async def _apply_limits(self, rules: CallbackRules, proof: CallbackProof | None) -> None:
        if self._limit is not None:
            await self._limit(rules.app_id, proof)

    async def _enqueue(self, rules: CallbackRules, event_id: str, upload: ReportedUpload, proof: CallbackProof) -> str:
        now = self._now()
        document = {
            "id": event_id,
            "type": "upload",
            "app": rules.app_id,
            "bucket": upload.bucket,
            "key": upload.key,
            "caller": proof.scope.caller,
            "received_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "callback": upload.members,
        }
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        event = UploadEvent(event_id, rules.app_id, f"{rules.app_id}/{upload.bucket}/{upload.key}", body, now)
        if self._queue is None:
            raise CallbackNotAccepted("this signer has no callback queue", "queue_unavailable")
        try:
            is_new = await self._queue.put(event, remember_until=proof.ends_at + _CLOCK_DIFFERENCE_SECONDS)
        except QueueFull:
            self._log_full(event.app_id, self._queue.depth())
            raise CallbackNotAccepted("the app has its share of the callback queue", "queue_full") from None
        except QueueUnavailable as error:
            self._health.record_failure(str(error))
            raise CallbackNotAccepted("the callback queue is unavailable", "queue_unavailable") from None
        self._health.record_success()
        if not is_new:
            return REPEATED
        self._wake_deliverer()
        return ACCEPTED

    def _log_full(self, app_id: str, waiting: int) -> None:
        """Log an error at most once a minute for each app, however many callbacks are rejected."""
        now = time.monotonic()
        if now - self._logged_at.get(app_id, float("-inf")) > _LOG_INTERVAL_SECONDS:
            self._logged_at[app_id] = now
            log.error("callback queue full", extra={"app": app_id, "waiting": waiting})


def _check_object(rules: CallbackRules, upload: ReportedUpload, proof: CallbackProof | None) -> None:
    """Raise `Forbidden` if no form of the app can have uploaded the object."""
    if proof is not None:
        if not proof.scope.allows(upload.bucket, upload.key):
            raise Forbidden("the form of this callback is for another object")
        return
    if upload.bucket != rules.bucket:
        raise Forbidden("the object is in another bucket than the one of this app")
    if not is_key_of_app(rules.naming, upload.key, app_id=rules.app_id):
        raise Forbidden("the object is not one of this app: its key has another prefix or name")


def _event_id(app_id: str, proof: CallbackProof | None, body: bytes) -> str:
    """Return the same id for each repeat of a callback, and another one for each upload."""
    text = f"{app_id}\n{'' if proof is None else proof.text}\n".encode()
    return sha256(text + body).hexdigest()[:32]
