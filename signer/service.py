"""The one path from an app, a caller and a wish to a signed upload. It knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from signer import policy
from signer.assembly import Sources, caller_checks
from signer.callers.protocol import Caller, CallerCheck, Evidence
from signer.credentials.cache import CredentialCache, RoleSet, utc_now
from signer.credentials.keeper import RoleState
from signer.credentials.sdk_thread import SdkThread
from signer.credentials.skew import ClockSkew
from signer.definitions.registry import App, Registry
from signer.environment import Environment
from signer.errors import Forbidden, Problem, RateLimited
from signer.limits.buckets import Limit
from signer.limits.local import LocalLimiter
from signer.metrics import Metrics
from signer.policy import SignedUpload, Wish


@dataclass(frozen=True, slots=True)
class Revision:
    """All that requests are answered from, of one moment: a request uses one of these from beginning to end."""

    registry: Registry
    roles: RoleSet
    checks: Mapping[str, CallerCheck]


class Service:
    """Signs for every app of a registry; make it inside a running event loop and close it there."""

    def __init__(self, registry: Registry, environment: Environment, *, now: Callable[[], datetime] = utc_now) -> None:
        """`environment` gives the `${...}` of AccessKeys anew for each fetch."""
        self.clock_skew = ClockSkew(now=now)
        self.metrics = Metrics()
        self._now = now
        self._sdk = SdkThread(self.clock_skew.observe)
        self._limiter = LocalLimiter()
        self._credentials = CredentialCache(now=now, observe=self.metrics.refreshed)
        self._sources = Sources(self._sdk, environment)
        roles = RoleSet()
        self._credentials.prepare(roles, self._sources.plans(registry, roles))
        self._credentials.put_in_force(roles)
        self.current = Revision(registry, roles, caller_checks(registry))
        self.metrics.watch(
            roles=self.role_states,
            clock_skew_seconds=self.clock_skew.seconds,
            apps=lambda: len(self.current.registry.apps),
        )

    async def take(self, registry: Registry, *, settle_seconds: float) -> None:
        """Answers from this registry from now on. Roles that are new are fetched first, for so long at most.

        Requests under way finish with what they began with; the change itself is one assignment.
        """
        roles = RoleSet()
        plans = await asyncio.to_thread(self._sources.plans, registry, roles)
        checks = await asyncio.to_thread(caller_checks, registry, self.current.registry, self.current.checks)
        self._credentials.prepare(roles, plans)
        await roles.settle(settle_seconds)
        self.current = Revision(registry, roles, checks)
        self._credentials.put_in_force(roles)

    async def ask(
        self, revision: Revision, app_id: str | None, evidence: Evidence, wish: Wish, *, documented: bool = False
    ) -> tuple[App, SignedUpload]:
        """What a request gets: the app it names, who asks, how often, then the signature. Raises a `Problem`."""
        known = ""
        try:
            app = revision.registry.app(app_id)
            known = app.id
            upload = await self._answer(revision, app, evidence, wish, documented=documented)
        except Problem as problem:
            self.metrics.signed(known, problem.code)
            if isinstance(problem, RateLimited):
                self.metrics.rate_limited(known)
            raise
        self.metrics.signed(known, "signed")
        return app, upload

    async def _answer(
        self, revision: Revision, app: App, evidence: Evidence, wish: Wish, *, documented: bool
    ) -> SignedUpload:
        if documented and not app.generate_signature:
            raise Forbidden(f"this app answers only POST /v1/apps/{app.id}/uploads")
        caller = await revision.checks[app.id].identify(evidence)
        await self._limit(app, caller, evidence)
        return await self.sign(revision, app, caller, wish, documented=documented)

    async def sign(
        self, revision: Revision, app: App, caller: Caller, wish: Wish, *, documented: bool = False
    ) -> SignedUpload:
        """Signs for a caller who is known. Raises a `Problem`."""
        make = policy.sign_documented if documented else policy.sign_form
        credential = await revision.roles.get(app.role)
        return make(app.rules, wish, app_id=app.id, caller=caller.id, credential=credential, now=self._now())

    async def _limit(self, app: App, caller: Caller, evidence: Evidence) -> None:
        limits = []
        if app.rate_limit.per_caller is not None:
            limits.append(Limit(f"{app.id}:caller:{caller.id or evidence.address}", app.rate_limit.per_caller))
        if app.rate_limit.per_app is not None:
            limits.append(Limit(app.id, app.rate_limit.per_app))
        if limits:
            await self._limiter.take(limits)

    def role_states(self) -> list[RoleState]:
        return self.current.roles.states()

    async def settle(self, timeout_seconds: float) -> None:
        """Waits, bounded, until every role's first fetch is over."""
        await self.current.roles.settle(timeout_seconds)

    async def close(self) -> None:
        await self._credentials.close()
        self._sdk.close()
