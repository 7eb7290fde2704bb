"""The one path from an app, a caller and a request to a signed upload. It knows no HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from signer.callers.caller import Caller
from signer.clock import utc_now
from signer.credentials.clock_skew import ClockSkew
from signer.credentials.keeper_pool import KeeperPool
from signer.credentials.readiness import can_sign
from signer.credentials.role_set import RoleSet
from signer.credentials.role_state import RoleState
from signer.credentials.sdk_thread import SdkThread
from signer.definitions.registry import App, Registry
from signer.delivery.callback_rules import NotifyTarget
from signer.delivery.callback_service import callback_service
from signer.delivery.receiver import CallbackReceiver
from signer.environment import Environment
from signer.errors import Forbidden, Problem, RateLimited
from signer.limits.limiter_factory import new_limiter
from signer.limits.token_bucket import Allowance, Limit
from signer.outbound import new_session
from signer.request_context import RequestContext
from signer.revision import CallerCheckBuilder, Revision, RolePlanner
from signer.signing.form import SignedUpload
from signer.signing.presigned_url import SignedDownload, sign_download
from signer.signing.upload_rules import UploadRequest
from signer.telemetry.audit import AuditLog
from signer.telemetry.metrics import Metrics

T = TypeVar("T")


@dataclass(slots=True)
class Answer(Generic[T]):
    """What a request gets, and what its answer tells besides."""

    app: App
    caller: Caller
    left: Allowance | None
    """Of the tightest limit; None where there is none."""
    signed: T


class Service:
    """Signs for every app of a registry; make it inside a running event loop and close it there."""

    def __init__(self, registry: Registry, environment: Environment, *, now: Callable[[], datetime] = utc_now) -> None:
        """`environment` gives the `${...}` of AccessKeys anew for each fetch."""
        self.clock_skew = ClockSkew(now=now)
        self.metrics = Metrics()
        self._now = now
        self._sdk = SdkThread(self.clock_skew.observe)
        self._outbound = new_session()
        self._limiter = new_limiter(None if registry.limits is None else registry.limits.get_secret_value())
        self._audit = None if registry.audit is None else AuditLog(registry.audit)
        self._caller_checks = CallerCheckBuilder(self._outbound)
        self._credentials = KeeperPool(observe=self.metrics.record_refresh)
        self._role_planner = RolePlanner(self._sdk, environment)
        roles = RoleSet()
        self._credentials.prepare(roles, self._role_planner.plans(registry, roles))
        self._credentials.activate(roles)
        self.current = Revision(registry, roles, self._caller_checks.build(registry))
        self.metrics.expose_state(
            roles=self.role_states,
            clock_skew_seconds=self.clock_skew.seconds,
            ready=lambda: can_sign(self.role_states(), self.clock_skew.seconds()),
            apps=lambda: len(self.current.registry.apps),
        )

    async def activate(self, registry: Registry, *, settle_seconds: float) -> None:
        """Answers from this registry from now on. Roles that are new are fetched first, for so long at most.

        Requests under way finish with what they began with; the change itself is one assignment.
        """
        roles = RoleSet()
        plans = await asyncio.to_thread(self._role_planner.plans, registry, roles)
        checks = await asyncio.to_thread(self._caller_checks.build, registry, self.current)
        self._credentials.prepare(roles, plans)
        await roles.wait_for_first_attempts(settle_seconds)
        self.current = Revision(registry, roles, checks)
        self._credentials.activate(roles)

    async def ask(
        self,
        revision: Revision,
        app_id: str | None,
        context: RequestContext,
        request: UploadRequest,
        *,
        documented: bool = False,
    ) -> Answer[SignedUpload]:
        """What a request gets: the app it names, who asks, how often, then the signature. Raises a `Problem`."""
        app = None
        try:
            app = revision.registry.app(app_id)
            if documented and not app.generate_signature:
                raise Forbidden(f"this app answers only POST /v1/apps/{app.id}/uploads")
            caller, left = await self._admit(revision, app, context)
            upload = await self.sign(revision, app, caller, request, documented=documented)
        except Exception as error:
            self._count_failure(app, error)
            raise
        self.metrics.count_signature(app.id, "signed")
        if self._audit is not None:
            members = {
                **_asked(app, caller, context),
                "key": upload.key,
                "key_prefix": upload.key_prefix,
                "max_size": upload.max_size_bytes,
                "expires_at": upload.expires_at,
            }
            self._audit.add("signature", members)
        return Answer(app, caller, left, upload)

    async def ask_download(
        self, revision: Revision, app_id: str, context: RequestContext, key: str
    ) -> Answer[SignedDownload]:
        """A URL to read an object below the caller's own prefix. Raises a `Problem`."""
        app = None
        try:
            app = revision.registry.app(app_id)
            if app.downloads is None:
                raise Forbidden("this app gives no downloads")
            caller, left = await self._admit(revision, app, context)
            if not app.rules.naming.owns(key, app_id=app.id, caller=caller.id):
                raise Forbidden("key is not below the prefix of this caller")
            credential = await revision.roles.get(app.role)
            download = sign_download(app.rules, key, expires=app.downloads, credential=credential, now=self._now())
        except Exception as error:
            self._count_failure(app, error)
            raise
        self.metrics.count_signature(app.id, "signed")
        if self._audit is not None:
            members = {
                **_asked(app, caller, context),
                "key": key,
                "expires_at": download.expires_at,
            }
            self._audit.add("download", members)
        return Answer(app, caller, left, download)

    async def sign(
        self, revision: Revision, app: App, caller: Caller, request: UploadRequest, *, documented: bool = False
    ) -> SignedUpload:
        """Signs for a caller who is known. Raises a `Problem`."""
        make = app.forms.sample_form if documented else app.forms.full_form
        now = self._now()
        credential = revision.roles.current(app.role)
        if credential is None:
            credential, now = await revision.roles.get(app.role), self._now()
        return make(request, caller=caller.id, credential=credential, now=now)

    def _count_failure(self, app: App | None, error: Exception) -> None:
        known = "" if app is None else app.id
        self.metrics.count_signature(known, error.code if isinstance(error, Problem) else Problem.code)
        if isinstance(error, RateLimited):
            self.metrics.count_rate_limited(known)

    async def _admit(self, revision: Revision, app: App, context: RequestContext) -> tuple[Caller, Allowance | None]:
        """Who asks, and what is left of the tightest limit. An address is counted before anybody is asked who it is."""
        rates = app.rate_limit
        if app.is_unlimited:
            return await revision.checks[app.id].identify(context), None
        if rates.per_address is not None:
            await self._take(app, [Limit(f"{app.id}:address:{context.client_address}", rates.per_address)])
        caller = await revision.checks[app.id].identify(context)
        if rates.per_caller is None and rates.per_app is None:
            return caller, None
        limits = []
        if rates.per_caller is not None:
            limits.append(Limit(f"{app.id}:caller:{caller.id or context.client_address}", rates.per_caller))
        if rates.per_app is not None:
            limits.append(Limit(app.id, rates.per_app))
        return caller, await self._take(app, limits)

    async def _take(self, app: App, limits: list[Limit]) -> Allowance:
        return await self._limiter.acquire(limits, allow_when_unavailable=app.rate_limit.when_redis_is_gone == "open")

    @contextlib.asynccontextmanager
    async def callback_service(self) -> AsyncIterator[CallbackReceiver]:
        """Takes OSS's callbacks and hands them on inside the block. Raises `CannotOpenQueue`."""
        server = self.current.registry.server
        async with callback_service(
            self._outbound,
            queue_address=None if server.callback_queue is None else server.callback_queue.get_secret_value(),
            max_events=server.callback_queue_limit,
            timeout_seconds=server.callback_timeout.total_seconds(),
            extra_key_url=server.callback_keys,
            target_of=self._notify_target,
            audit=self._note_callback,
            count_callback=self.metrics.count_callback,
            count_attempt=self.metrics.count_notification,
        ) as (receiver, depth):
            self.metrics.expose_queue_depth(depth)
            yield receiver

    def _notify_target(self, app_id: str) -> NotifyTarget | None:
        app = self.current.registry.apps.get(app_id)
        return None if app is None or app.callback is None else app.callback.notify

    def _note_callback(self, event: dict[str, object]) -> None:
        if self._audit is not None:
            self._audit.add("callback", event)

    def role_states(self) -> list[RoleState]:
        return self.current.roles.states()

    async def settle(self, timeout_seconds: float) -> None:
        """Waits, bounded, until every role's first fetch is over."""
        await self.current.roles.wait_for_first_attempts(timeout_seconds)

    async def close(self) -> None:
        await self._credentials.close()
        await self._limiter.close()
        await self._outbound.close()
        if self._audit is not None:
            await self._audit.close()
        self._sdk.close()


def _asked(app: App, caller: Caller, context: RequestContext) -> dict[str, object]:
    """What each line of the audit log says of the request that it is for."""
    return {"app": app.id, "caller": caller.id, "address": context.client_address, "request_id": context.request_id}
