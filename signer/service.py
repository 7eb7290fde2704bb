"""The one path of every signature: app, caller, limits, credential, signature. It does not depend on HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, overload

from signer.admission import Admission, audit_members, enabled_app
from signer.batches import Batches
from signer.callers.caller import Caller
from signer.clock import utc_now
from signer.credentials.clock_skew import ClockSkew
from signer.credentials.fetch_pacer import ACCOUNT_CALLS_PER_SECOND, FetchPacer
from signer.credentials.keeper_pool import KeeperPool, RoleSet
from signer.credentials.role import RoleState, can_sign
from signer.credentials.sdk_thread import SdkThread
from signer.definitions.registry import App, Registry
from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.callback_service import CallbackQueue, callback_service
from signer.delivery.receiver import CallbackReceiver
from signer.environment import Environment
from signer.errors import Forbidden
from signer.limits.limiter_factory import new_limiter
from signer.limits.local_limiter import LocalLimiter
from signer.limits.token_bucket import Allowance, Limit
from signer.multipart.role_calls import RoleCalls
from signer.multipart.uploads import MultipartUploads
from signer.objects.deletes import Deletes
from signer.objects.downloads import DownloadUrls
from signer.outbound import OutboundSessions
from signer.revision import CallerCheckBuilder, Context, Revision, RolePlanner, build_upload_tokens
from signer.signing.callback_field import CallbackProof
from signer.signing.form import SignedUpload
from signer.signing.put_object import SignedPut
from signer.signing.upload_rules import UploadRequest
from signer.telemetry.audit import AuditLog
from signer.telemetry.logs import current_handler
from signer.telemetry.metrics import Metrics
from signer.temporary_credentials import TemporaryCredentialService, fetches_per_second

if TYPE_CHECKING:
    from signer.multipart.oss_client import OssClient
    from signer.signing.upload_token import UploadTokens

SignedT = TypeVar("SignedT")

_CALLBACKS_PER_APP, _CALLBACKS_PER_PREFIX, _CALLBACKS_PER_OBJECT = (12_000, 60), (1_200, 60), (60, 60)
"""How many callbacks of an app and of one form are verified, in how many seconds, in each process.

The clients of an app that get their signatures within one second from `/generate_signature` have the same form.
"""


@dataclass(slots=True)
class SigningResult(Generic[SignedT]):
    """A signature and what the response reports with it."""

    signed: SignedT
    caller: Caller
    allowance: Allowance | None
    """What is left of the tightest limit; None if the app has no limits."""


class Service:
    """Signs uploads and downloads for every app while its `async with` block runs. Create it in that event loop."""

    def __init__(
        self,
        registry: Registry,
        environment: Environment,
        *,
        workers: int = 1,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Create a service.

        Args:
            environment: resolves the `${...}` references of AccessKeys, for each fetch again.
            workers: the number of signers on this machine, which share the rate of credential fetches.
        """
        self.clock_skew = ClockSkew()
        self.metrics = Metrics()
        self.callback_queue: CallbackQueue | None = None
        """Set while `callback_service` runs, where `server.callback_queue` is set."""
        self._now = now
        self._sdk = SdkThread(self.clock_skew.observe)
        self._outbound = OutboundSessions()
        self.limiter = new_limiter(None if registry.limits is None else registry.limits.get_secret_value())
        if registry.limits is not None:
            self.metrics.expose_limits(is_available=lambda: self.limiter.error is None)
        self._admission = Admission(self.limiter, self.metrics)
        self._admit = self._admission.admit
        self._callback_limiter = LocalLimiter()
        self._audit = None if registry.audit is None else AuditLog(registry.audit)
        log = current_handler()
        self.line_writers = [each.lines for each in (log, self._audit) if each is not None]
        """What writes the log and the audit log."""
        self.metrics.expose_log_lines(self.line_writers)
        self._oss: OssClient | None = None
        role_calls = RoleCalls()
        self.multipart = MultipartUploads(
            self._admission, self.metrics, self._audit, role_calls, client=self._oss_client, now=lambda: self._now()
        )
        self.batches = Batches(self._admission, self.metrics, self._audit, now=lambda: self._now())
        self.deletes = Deletes(self._admission, self.metrics, self._audit, role_calls, client=self._oss_client)
        self._caller_checks = CallerCheckBuilder(self._outbound, admit_login=self._admission.admit_login)
        fetches, seconds = registry.server.credential_fetch_rate
        temporary_per_second = fetches_per_second(registry.server)
        self._pacer = FetchPacer.for_worker(
            fetches / seconds, workers, account_per_second=ACCOUNT_CALLS_PER_SECOND - temporary_per_second
        )
        self.credentials = KeeperPool(pacer=self._pacer, on_attempt=self.metrics.record_refresh)
        self._role_planner = RolePlanner(self._sdk, environment)
        self.temporary_credentials = TemporaryCredentialService(
            self._admission,
            self.metrics,
            self._audit,
            observe=self.clock_skew.observe,
            environment=environment,
            per_second=temporary_per_second / workers,
            now=lambda: self._now(),
        )
        self.downloads = DownloadUrls(
            self._admission, self.metrics, self._audit, self.temporary_credentials, now=lambda: self._now()
        )
        self.current = Revision(registry, RoleSet(), self._caller_checks.build(registry), _upload_tokens(registry))
        self.metrics.expose_state(
            roles=self.role_states,
            clock_skew_seconds=self.clock_skew.seconds,
            ready=lambda: can_sign(self.role_states(), self.clock_skew.seconds()),
            apps=lambda: self.current.registry.apps,
            role_names=lambda: self.current.roles.keepers,
            fetches_waiting=lambda: self._pacer.waiting,
        )

    async def __aenter__(self) -> Self:
        """Start to fetch the credential of each role."""
        roles = self.current.roles
        self.credentials.prepare(roles, self._role_planner.plans(self.current.registry, roles))
        self.credentials.activate(roles)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def activate(self, registry: Registry, *, settle_seconds: float) -> None:
        """Answer new requests from another registry. Requests in progress keep the revision they started with.

        Before the change, wait at most `settle_seconds` for the first credentials of new roles.
        """
        roles = RoleSet()
        plans = await asyncio.to_thread(self._role_planner.plans, registry, roles)
        checks = await asyncio.to_thread(self._caller_checks.build, registry, self.current)
        tokens = await asyncio.to_thread(_upload_tokens, registry)
        self.credentials.prepare(roles, plans)
        await roles.wait_for_first_attempts(settle_seconds)
        self.current = Revision(registry, roles, checks, tokens)
        self.credentials.activate(roles)

    @overload
    async def sign_upload(
        self, context: Context, request: UploadRequest
    ) -> SigningResult[SignedUpload | SignedPut]: ...
    @overload
    async def sign_upload(
        self, context: Context, request: UploadRequest, *, sample: Literal[True]
    ) -> SigningResult[SignedUpload]: ...
    async def sign_upload(self, context: Context, request: UploadRequest, *, sample: bool = False) -> Any:
        """Sign an upload for the caller of a request, or raise the `Problem` that refuses it.

        With `sample`, sign the form of Alibaba's sample server instead of what the client requests.
        """
        try:
            app = enabled_app(context)
            if sample and not app.generate_signature:
                raise Forbidden(f"this app has no sample endpoint; use POST /v1/apps/{app.id}/uploads")
            if app.forms.rules.counts_bytes:
                caller, allowance, upload = await self._sign_counted(app, context, request)
            else:
                caller, allowance = await self._admit(app, context)
                sign = app.forms.sample_form if sample else app.forms.sign
                credential = await context.revision.credential(app)
                upload = sign(request, caller=caller.id, credential=credential, now=self._now())
        except Exception as error:
            self._admission.count_failure(context, error)
            raise
        self.metrics.count_signature(app.id, "signed")
        if self._audit is not None:
            self._audit.add("signature", {**audit_members(app, caller, context), **upload.audit_members()})
        return SigningResult(upload, caller, allowance)

    async def _sign_counted(
        self, app: App, context: Context, request: UploadRequest
    ) -> tuple[Caller, Allowance | None, SignedUpload | SignedPut]:
        """Sign an upload of an app with limits of bytes, or give back what it took from them."""
        size_bytes = app.forms.charged_bytes(request)
        caller, allowance = await self._admit(app, context, 1, size_bytes)
        async with self._admission.bytes_given_back_on_failure(app, caller, context, size_bytes):
            credential = await context.revision.credential(app)
            upload = app.forms.sign(request, caller=caller.id, credential=credential, now=self._now())
        self._admission.count_bytes(app, size_bytes)
        return caller, allowance, upload

    async def sign_form(self, revision: Revision, app: App, caller: Caller, request: UploadRequest) -> SignedUpload:
        """Sign a form for a caller who is identified already, or raise the `Problem` that refuses it."""
        credential = await revision.credential(app)
        return app.forms.full_form(request, caller=caller.id, credential=credential, now=self._now())

    @contextlib.asynccontextmanager
    async def callback_service(self) -> AsyncIterator[CallbackReceiver]:
        """Receive OSS's callbacks and deliver them inside the block; raise `CannotOpenQueue` for an invalid address."""
        server = self.current.registry.server
        async with callback_service(
            self._outbound,
            queue_address=None if server.callback_queue is None else server.callback_queue.get_secret_value(),
            max_events=server.callback_queue_limit,
            timeout_seconds=server.callback_timeout.total_seconds(),
            extra_key_url=server.callback_keys,
            target_of=self._notify_target,
            limit=self._limit_callback,
            audit=self._audit_callback,
            count_callback=self.metrics.count_callback,
            count_outcome=self.metrics.count_notification,
        ) as (receiver, queue):
            self.callback_queue = queue
            if queue is not None:
                self.metrics.expose_callback_queue(
                    depth=queue.events.depth,
                    is_available=lambda: queue.health.error is None,
                    dead_letters=queue.events.dead_letter_count,
                    corrupt_files=lambda: len(queue.events.corrupt_files()),
                )
            yield receiver

    async def _limit_callback(self, app_id: str, proof: CallbackProof | None) -> None:
        limits = [Limit(f"app:{app_id}", _CALLBACKS_PER_APP)]
        if proof is not None:
            rate = _CALLBACKS_PER_OBJECT if proof.scope.is_exact else _CALLBACKS_PER_PREFIX
            limits.insert(0, Limit(f"proof:{app_id}:{proof.text}", rate))
        await self._callback_limiter.acquire(limits)

    def _notify_target(self, app_id: str) -> NotifyTarget | None:
        app = self.current.registry.apps.get(app_id)
        return None if app is None or app.callback is None else app.callback.notify

    def _audit_callback(self, event: dict[str, object]) -> None:
        if self._audit is not None:
            self._audit.add("callback", event)

    def _oss_client(self) -> OssClient:
        """Return the client of OSS for multipart uploads and deletes, whose SDK takes long to load."""
        if self._oss is None:
            from signer.multipart.oss_client import OssClient

            self._oss = OssClient(self.metrics.multipart.record_call)
        return self._oss

    def role_states(self) -> list[RoleState]:
        """Return the state of each active role."""
        return self.current.roles.states()

    async def settle(self, timeout_seconds: float) -> None:
        """Wait until the first fetch of every role has ended, successfully or not, or until the timeout."""
        await self.current.roles.wait_for_first_attempts(timeout_seconds)

    async def close(self) -> None:
        """Stop all background work and close all connections."""
        await self.temporary_credentials.close()
        await self.credentials.close()
        if self._oss is not None:
            await self._oss.close()
        await self.limiter.close()
        await self._outbound.close()
        if self._audit is not None:
            await self._audit.close()
        self._sdk.close()


def _upload_tokens(registry: Registry) -> UploadTokens | None:
    """Return the tokens of multipart uploads; load the SDK that they and deletes need, which takes long."""
    tokens = build_upload_tokens(registry)
    if tokens is not None or any(app.deletes for app in registry.apps.values()):
        import signer.multipart.oss_client  # noqa: F401
    return tokens
