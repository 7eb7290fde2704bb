"""Admits a request to an app: the caller is identified, and the limits are counted."""

import contextlib
from collections.abc import Iterator, Sequence

from signer.callers.caller import Caller
from signer.definitions.registry import App
from signer.errors import Problem, RateLimited
from signer.limits.token_bucket import Allowance, Limit, Limiter, Rate, address_bucket
from signer.revision import Context
from signer.telemetry.metrics import Metrics


class Admission:
    """Identifies callers and counts requests against limits."""

    def __init__(self, limiter: Limiter, metrics: Metrics) -> None:
        self._limiter = limiter
        self._metrics = metrics

    async def admit(self, app: App, context: Context, count: int = 1) -> tuple[Caller, Allowance | None]:
        """Identify the caller and apply `rate_limit` to a request for `count` signatures.

        Return what is left of the tightest limit, and how many signatures it allows; None is no limit. The limit per
        address applies before the caller is identified, so that guessing credentials is limited too.
        """
        rates = app.rate_limit
        check = context.revision.checks[app.id]
        if app.is_unlimited:
            return await check.identify(context), None
        wanted, of_address = count, None
        if rates.per_address is not None:
            of_address = await self.acquire(app, [address_limit(app, "address", context, rates.per_address)], count)
            count = of_address.granted
        caller = await check.identify(context)
        if rates.per_caller is None and rates.per_app is None:
            return caller, of_address
        limits = []
        if rates.per_caller is not None:
            limits.append(caller_limit(app, "caller", "anonymous", caller, context, rates.per_caller))
        if rates.per_app is not None:
            limits.append(Limit(app.id, rates.per_app))
        allowance = await self.acquire(app, limits, count)
        if of_address is not None and allowance.granted == count < wanted:
            return caller, of_address
        return caller, allowance

    async def admit_login(self, context: Context) -> None:
        """Apply the limits of wx.login codes, whose exchange uses a quota at WeChat that all users of the app share."""
        app = enabled_app(context)
        rates = app.rate_limit.authentication
        limits = []
        if rates.per_address is not None:
            limits.append(address_limit(app, "login", context, rates.per_address))
        if rates.per_app is not None:
            limits.append(Limit(f"{app.id}:login", rates.per_app))
        try:
            if limits:
                await self.acquire(app, limits)
        except RateLimited:
            self._metrics.count_code_exchange(app.id, "limited")
            raise
        self._metrics.count_code_exchange(app.id, "admitted")

    async def acquire(self, app: App, limits: Sequence[Limit], count: int = 1) -> Allowance:
        """Count a request of an app against these limits, up to `count` times; raise `RateLimited` if none is left."""
        allow_when_unavailable = app.rate_limit.when_redis_is_gone == "open"
        return await self._limiter.acquire(limits, allow_when_unavailable=allow_when_unavailable, count=count)

    @contextlib.contextmanager
    def counted_failures(self, context: Context) -> Iterator[None]:
        """Count a request that fails in the block."""
        try:
            yield
        except Exception as error:
            self.count_failure(context, error)
            raise

    def count_failure(self, context: Context, error: Exception) -> None:
        """Count a request that gets no signature."""
        app_id = "" if context.app is None or not context.app.enabled else context.app.id
        self._metrics.count_signature(app_id, error.code if isinstance(error, Problem) else Problem.code)
        if isinstance(error, RateLimited):
            self._metrics.count_rate_limited(app_id)


def enabled_app(context: Context) -> App:
    """Return the app of a request, or raise the problem that describes why there is none."""
    app = context.app
    if app is None or not app.enabled:
        return context.revision.registry.app(context.app_id)
    return app


def address_limit(app: App, purpose: str, context: Context, rate: Rate) -> Limit:
    """Return a limit for the client's address."""
    return Limit(f"{app.id}:{purpose}:{address_bucket(context.client_address)}", rate)


def caller_limit(app: App, purpose: str, anonymous: str, caller: Caller, context: Context, rate: Rate) -> Limit:
    """Return a limit for the caller, or for the address of one without an id, by the names of their buckets."""
    if caller.id is None:
        return address_limit(app, anonymous, context, rate)
    return Limit(f"{app.id}:{purpose}:{caller.id}", rate)


def audit_members(app: App, caller: Caller, context: Context) -> dict[str, object]:
    """Return the members that each line of the audit log has."""
    return {"app": app.id, "caller": caller.id, "address": context.client_address, "request_id": context.request_id}
