"""The one path from an app, a caller and a wish to a signed upload. It knows no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from signer import policy
from signer.assembly import caller_check, role_plans
from signer.callers.protocol import Caller, CallerCheck, Evidence
from signer.credentials.cache import CredentialCache, utc_now
from signer.credentials.keeper import RoleState
from signer.credentials.sdk_thread import SdkThread
from signer.definitions.registry import App, Registry
from signer.errors import Forbidden
from signer.limits import Limiter
from signer.policy import SignedUpload, Wish


class Service:
    """Signs for every app of a registry; make it inside a running event loop and close it there."""

    def __init__(self, registry: Registry, *, now: Callable[[], datetime] = utc_now) -> None:
        self.registry = registry
        self._now = now
        self._sdk = SdkThread()
        self._limiter = Limiter()
        self._checks: dict[str, CallerCheck] = {
            app.id: caller_check(app.callers) for app in registry.apps.values() if app.enabled
        }
        self._credentials = CredentialCache(now=now)
        self._credentials.serve(role_plans(registry, self._sdk, self._credentials.get))

    async def ask(
        self, app_id: str | None, evidence: Evidence, wish: Wish, *, documented: bool = False
    ) -> tuple[App, SignedUpload]:
        """What a request gets: the app it names, who asks, how often, then the signature. Raises a `Problem`."""
        app = self.registry.app(app_id)
        if documented and not app.generate_signature:
            raise Forbidden(f"this app answers only POST /v1/apps/{app.id}/uploads")
        caller = await self._checks[app.id].identify(evidence)
        self._limit(app, caller, evidence)
        return app, await self.sign(app, caller, wish, documented=documented)

    async def sign(self, app: App, caller: Caller, wish: Wish, *, documented: bool = False) -> SignedUpload:
        """Signs for a caller who is known. Raises a `Problem`."""
        make = policy.sign_documented if documented else policy.sign_form
        credential = await self._credentials.get(app.role)
        return make(app.rules, wish, app_id=app.id, caller=caller.id, credential=credential, now=self._now())

    def _limit(self, app: App, caller: Caller, evidence: Evidence) -> None:
        """The caller's own limit first, so that one who is over it takes nothing from the others."""
        if app.rate_limit.per_caller is not None:
            self._limiter.take((app.id, caller.id or evidence.address), app.rate_limit.per_caller)
        if app.rate_limit.per_app is not None:
            self._limiter.take(app.id, app.rate_limit.per_app)

    def role_states(self) -> list[RoleState]:
        return self._credentials.states()

    async def settle(self, timeout_seconds: float) -> None:
        """Waits, bounded, until every role's first fetch is over."""
        await self._credentials.settle(timeout_seconds)

    async def close(self) -> None:
        await self._credentials.close()
        self._sdk.close()
