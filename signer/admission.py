"""Admits a request to an app: the caller is identified, and the limits are counted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

from signer.callers.caller import Caller
from signer.definitions.registry import App
from signer.errors import Problem, QuotaExceeded, RateLimited
from signer.limits.token_bucket import Allowance, Limit, Limiter, Rate, address_bucket
from signer.revision import Context
from signer.telemetry.metrics import Metrics


class Admission:
    """Identifies callers and counts requests against limits."""

    def __init__(self, limiter: Limiter, metrics: Metrics) -> None:
        self._limiter = limiter
        self._metrics = metrics

    async def admit(
        self, app: App, context: Context, count: int = 1, size_bytes: int | None = None
    ) -> tuple[Caller, Allowance | None]:
        """Identify the caller and apply `rate_limit` to a request for `count` signatures.

        Return what is left of the tightest limit, and how many signatures it allows; None is no limit. The limit per
        address applies before the caller is identified, so that guessing credentials is limited too. `size_bytes` is
        what limits of bytes count for one file; None for what is no upload.
        """
        if app.is_unlimited:
            return await context.revision.checks[app.id].identify(context), None
        wanted = count
        caller, of_address = await self._identify(app, context, count)
        if of_address is not None:
            count = of_address.granted
        limits = _request_limits(app, caller, context)
        if size_bytes is not None:
            limits += byte_limits(app, caller, context, size_bytes)
        if not limits:
            return caller, of_address
        # Together, so that a file over a limit of bytes uses no request, and the other way round.
        allowance = await self.acquire(app, limits, count)
        if of_address is not None and allowance.granted == count < wanted:
            return caller, of_address
        return caller, allowance

    async def admit_files(
        self, app: App, context: Context, sizes_bytes: Sequence[int]
    ) -> tuple[Caller, Sequence[Allowance | Problem]]:
        """Identify the caller and apply all limits of an app that limits bytes to each file, in this order.

        Return what each file got, or its refusal: a smaller one after it may be accepted.
        """
        caller, of_address = await self._identify(app, context, len(sizes_bytes))
        granted = len(sizes_bytes) if of_address is None else of_address.granted
        limits = _request_limits(app, caller, context)
        # At once, so that they share one round trip to Redis.
        outcomes = await asyncio.gather(
            *(
                self._outcome(app, [*limits, *byte_limits(app, caller, context, size_bytes)])
                for size_bytes in sizes_bytes[:granted]
            )
        )
        if of_address is not None:
            outcomes += [of_address.refusal(number) for number in range(1, len(sizes_bytes) - granted + 1)]
        return caller, outcomes

    async def _outcome(self, app: App, limits: Sequence[Limit]) -> Allowance | Problem:
        try:
            return await self.acquire(app, limits)
        except Problem as problem:
            return problem

    async def _identify(self, app: App, context: Context, count: int) -> tuple[Caller, Allowance | None]:
        """Apply the limit per address, and identify the caller."""
        of_address = None
        if (rate := app.rate_limit.per_address) is not None:
            of_address = await self.acquire(app, [address_limit(app, "address", context, rate)], count)
        return await context.revision.checks[app.id].identify(context), of_address

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

    @contextlib.asynccontextmanager
    async def bytes_given_back_on_failure(
        self, app: App, caller: Caller, context: Context, size_bytes: int
    ) -> AsyncIterator[None]:
        """Give the bytes of a file back if the block fails."""
        try:
            yield
        except Exception:
            await self.give_back(app, byte_limits(app, caller, context, -size_bytes))
            raise

    async def give_back(self, app: App, limits: Sequence[Limit]) -> None:
        """Take limits with a negative cost; if they cannot be counted now, they only refill with time."""
        if any(limit.cost < 0 for limit in limits):
            with contextlib.suppress(RateLimited):
                await self.acquire(app, limits)

    def count_bytes(self, app: App, size_bytes: int) -> None:
        """Count the bytes of signed uploads."""
        if size_bytes:
            self._metrics.count_bytes(size_bytes, app.id)

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
        if isinstance(error, QuotaExceeded):
            self._metrics.count_quota_exceeded(app_id)


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
        return Limit(f"{app.id}:{anonymous}:{address_bucket(context.client_address)}", rate, policy=purpose)
    return Limit(f"{app.id}:{purpose}:{caller.id}", rate, policy=purpose)


def _request_limits(app: App, caller: Caller, context: Context) -> list[Limit]:
    rates, limits = app.rate_limit, []
    if rates.per_caller is not None:
        limits.append(caller_limit(app, "caller", "anonymous", caller, context, rates.per_caller))
    if rates.per_app is not None:
        limits.append(Limit(app.id, rates.per_app, policy="app"))
    return limits


def byte_limits(app: App, caller: Caller, context: Context, size_bytes: int) -> list[Limit]:
    """Return the limits of bytes for a file of this size; a negative size gives bytes back."""
    rates, limits = app.rate_limit, []
    if (rate := rates.per_caller_bytes) is not None:
        limit = caller_limit(app, "caller-bytes", "anonymous-bytes", caller, context, rate)
        limits.append(replace(limit, cost=size_bytes, is_bytes=True))
    if (rate := rates.per_app_bytes) is not None:
        limits.append(Limit(f"{app.id}:app-bytes", rate, cost=size_bytes, policy="app-bytes", is_bytes=True))
    return limits


def audit_members(app: App, caller: Caller, context: Context) -> dict[str, object]:
    """Return the members that each line of the audit log has."""
    return {"app": app.id, "caller": caller.id, "address": context.client_address, "request_id": context.request_id}
