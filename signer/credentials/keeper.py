"""Keeps the token of one role fresh."""

import asyncio
import logging
import math
import random
from collections.abc import Callable
from datetime import timedelta

from signer.circuit_breaker import CircuitBreaker
from signer.credentials.attempt_schedule import AttemptSchedule
from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.issuer import Issuer, Rank, Turn, Urgency
from signer.credentials.refresh_windows import RefreshWindows, TokenState
from signer.credentials.role import RefreshAttempt, RefreshReason, RolePlan, RoleState
from signer.credentials.role_token import RoleToken
from signer.credentials.sources.credential_source import FetchFailed, fetch_valid
from signer.credentials.token_cache import TokenCache
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential

log = logging.getLogger("oss_signer.credentials")

MAX_WAIT_SECONDS = 3.0
"""The longest time that a request waits for a token."""
_REREAD_SECONDS = 60.0
"""How often a credential that does not expire is read again, since its file may have been rotated."""
_MAX_RETRY_SECONDS = 60.0
_MAX_URGENT_RETRY_SECONDS = 4.0
"""The longest delay between attempts while requests need the role and it has no usable token."""
_USUAL_FETCH_SECONDS = 1.0
"""Within this time, nearly every fetch has ended."""
_RANDOM = random.Random()  # noqa: S311


class Keeper:
    """Fetches the token of one role in a task of its own, refreshes it early, and retries after failures.

    Requests only read the token. A request that finds none waits for the current attempt, and never starts a second
    one: however many requests wait, the source is called once.
    """

    def __init__(
        self,
        name: str,
        plan: RolePlan,
        *,
        tokens: TokenCache,
        issuer: Issuer,
        pacer: FetchPacer,
        on_attempt: Callable[[RefreshAttempt], None],
    ) -> None:
        """Create a keeper; `start` starts its task. All keepers share the cache and the pacer."""
        self.permissions = plan.permissions
        self.token = RoleToken(tokens, plan.windows)
        self.is_settled = asyncio.Event()
        """Set after the first attempt, or by `start` if it inherits a token."""
        self.demand = 0
        """How many requests needed the token since the last success, halved by each failure. Ranks the next fetch."""
        self._name = name
        self._source = plan.source
        self._timeout_seconds = plan.timeout_seconds
        self._issuer = issuer
        self._pacer = pacer
        self._on_attempt = on_attempt
        self._loop = asyncio.get_running_loop()
        self._breaker = CircuitBreaker(
            failure_threshold=3, first_delay_seconds=0.5, max_delay_seconds=_MAX_RETRY_SECONDS, jitter=(0.5, 1.0)
        )
        self._schedule = AttemptSchedule()
        self._task: asyncio.Task[None] | None = None
        self._turn: Turn | None = None
        """The place of the due attempt in the issuer's queue; None unless it is queued."""
        self._started_at: float | None = None
        """When the attempt under way started, in the time of the event loop; None if there is none."""
        self._reason = RefreshReason.START
        self._last_error: str | None = None
        self._is_failure_role_specific = False
        """Whether the last attempt failed for a reason that concerns only this role."""
        self._failed_at = -math.inf
        self.is_retired = False
        """Whether the role was removed."""

    def start(self, inherited_token: Credential | None = None) -> None:
        """Start the task. `inherited_token`, from before a change of the AccessKey, is used until the first success."""
        self._schedule.make_due()
        if inherited_token is not None:
            self._reason = RefreshReason.CHANGED
            self.token.store(inherited_token)
            self.is_settled.set()
        self._task = asyncio.create_task(self._run(), name=f"credentials of {self._name}")

    def reconfigure(self, name: str, windows: RefreshWindows) -> None:
        """Apply the role's new name and windows; refresh the token if its remaining lifetime is too short for them."""
        self._name = name
        if windows != self.token.windows:
            self.token.apply(windows)
            if self.token.state() is not TokenState.FRESH:
                self.refresh()

    def refresh(self) -> None:
        """Refresh the token now, unless the last attempt failed: then the next retry is early enough."""
        if not self._breaker.failures and not self.is_retired:
            self._schedule.make_due()

    def replace(self, *, keep: bool = False) -> None:
        """Fetch another token now, ignoring a fetch under way; use the current one until then only if `keep`."""
        if not self.is_retired:
            self.token.reject(keep=keep)
            self._schedule.force()
            if self._turn is not None:
                self._pacer.raise_rank(self._turn, self._rank())

    def reject(self, token: Credential, *, keep: bool) -> None:
        """Replace a token that STS or OSS rejected, unless it is replaced already; `keep` is that of `replace`."""
        if token == self.token.current():
            log.warning("credential rejected", extra={"role": self._name})
            self.replace(keep=keep or self.token.is_reissued)

    async def wait_until_replaced(self, timeout_seconds: float) -> bool:
        """Wait for the fetch that `replace` requested; return whether it ended in this time, successfully or not."""
        return await self._schedule.wait_until_forced_finished(timeout_seconds)

    def retire(self) -> None:
        """Remove the token and stop refreshing it. A fetch that is under way or that requests need still completes."""
        self.token.remove()
        self.is_retired = True
        self._schedule.wake()
        if self._turn is not None and not self.demand and self._task is not None:
            self._task.cancel()
            self._task = None  # Its traceback refers to this keeper, and `gc.freeze` would keep this cycle forever.

    async def close(self) -> None:
        """Cancel the task and the fetch under way, and wait until it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def get(self) -> Credential:
        """Return the role's token, waiting for the current attempt, or raise `CredentialsUnavailable`."""
        self.demand += 1
        token = self.token.current()
        if token is None and not self.is_retired:
            self._bring_attempt_forward()
        if token is None and not self._should_fail_fast():
            await self._schedule.wait_until_finished(MAX_WAIT_SECONDS)
            token = self.token.current()
        if token is None:
            raise CredentialsUnavailable(
                "this app has no usable credential right now; retry after the seconds in Retry-After",
                retry_after_seconds=self._seconds_until_token(),
            )
        return token

    def state(self, name: str) -> RoleState:
        """Return the role's state for one of the names that share this keeper; safe in any thread."""
        expires_at, now, token_state = self.token.expires_at, self.token.now(), self.token.state()
        issuer_error = self._issuer.error if self._issuer.is_open and self._turn is not None else None
        last_error = issuer_error or self._last_error
        return RoleState(
            role=name,
            token_state=token_state,
            circuit_open=self._should_fail_fast(),
            expires_at=expires_at,
            remaining=None if expires_at is None else expires_at - now,
            last_error=last_error,
            next_attempt_at=now + timedelta(seconds=self._schedule.seconds_until_due()),
            fetched_at=self.token.fetched_at,
            required_lifetime=self.token.windows.required_lifetime,
            is_pending=token_state is TokenState.UNUSABLE and last_error is None,
        )

    def _should_fail_fast(self) -> bool:
        """Return whether requests do not wait for an attempt, because it will most likely fail."""
        return (self._breaker.is_open or self._issuer.is_open) and not self._schedule.is_forced

    def _bring_attempt_forward(self) -> None:
        """Move the next attempt forward, since a request needs a token."""
        if self._turn is not None:
            self._pacer.raise_rank(self._turn, self._rank())
        elif not self._breaker.failures:
            # The clock was set forward or the machine slept: the token expired while the keeper was asleep.
            self._schedule.make_due()
        elif not self._schedule.is_due:
            self._schedule.bring_forward(self._failed_at + _MAX_URGENT_RETRY_SECONDS - self._loop.time())

    def _seconds_until_token(self) -> float:
        """Estimate the seconds until a request is likely to get a token."""
        if self._started_at is not None:
            return self._started_at + self._timeout_seconds - self._loop.time()
        until_start = self._pacer.seconds_until_start(self._issuer, self._rank(), self._turn)
        return self._schedule.seconds_until_due() + until_start + _USUAL_FETCH_SECONDS

    def _rank(self) -> Rank:
        """Return how urgent the next attempt is."""
        is_forced = self._schedule.is_forced
        if not is_forced and (not self.demand or self._is_failure_role_specific):
            return Urgency.RETRIED if self.demand else Urgency.IDLE, 0
        urgency = Urgency.REQUESTED if is_forced or self.token.current() is None else Urgency.IN_USE
        return urgency, -self.demand.bit_length()

    async def _run(self) -> None:
        try:
            while not self.is_retired:
                await self._attempt_refresh()
                await self._wait_until_due()
        finally:
            self._schedule.finish()
            self.is_settled.set()

    async def _wait_until_due(self) -> None:
        while not self.is_retired and self._schedule.seconds_until_due() > 0:
            await self._schedule.wait_until_due_or_changed()
        if not self.is_retired:
            self._reason = RefreshReason.planned(self.token.state(), self._breaker.failures)
            self._schedule.make_due()

    async def _attempt_refresh(self) -> None:
        """Fetch a token once in its turn, and plan the next attempt."""
        self._turn = self._pacer.queue(self._issuer, self._rank())
        try:
            await self._pacer.wait(self._turn)
        finally:
            self._turn = None
        forced_count = self._schedule.forced_count
        self._started_at = self._loop.time()
        try:
            async with self._issuer.attempt():
                result = await fetch_valid(self._source, self.token.validate)
        except TimeoutError:
            return  # The issuer responded to a later attempt, so it cancelled this one. `_run` repeats it now.
        finally:
            started_at, self._started_at = self._started_at, None
        if forced_count != self._schedule.forced_count:
            return  # `replace` was called meanwhile, and this token may be older. `_run` fetches again now.
        reason = RefreshReason.FORCED if self._schedule.is_forced else self._reason
        attempt = RefreshAttempt(
            self._name, reason, not isinstance(result, FetchFailed), self._loop.time() - started_at
        )
        if isinstance(result, FetchFailed):
            delay_seconds = self._record_failure(attempt, result, started_at)
        else:
            delay_seconds = self._record_success(attempt, result, started_at)
        self._pacer.start_due()
        if not self.is_retired:
            self._on_attempt(attempt)
        self._schedule.finish(delay_seconds)
        self.is_settled.set()

    def _record_success(self, attempt: RefreshAttempt, token: Credential, started_at: float) -> float:
        is_new = self.token.record_fetch(token)
        self._issuer.record_success(started_at)
        self._breaker.record_success()
        self._last_error = None
        self._is_failure_role_specific = False
        self.demand = 0
        if token.expiration is None:
            delay_seconds = _REREAD_SECONDS * _RANDOM.uniform(0.5, 1)
        else:
            delay_seconds = self.token.windows.seconds_until_refresh(self.token.remaining(token), _RANDOM.uniform)
        log.log(
            logging.INFO if is_new or attempt.reason is RefreshReason.FORCED else logging.DEBUG,
            "credential refreshed",
            extra=attempt.log_fields() | {"expires_at": token.expiration, "next_in_seconds": round(delay_seconds, 1)},
        )
        return delay_seconds

    def _record_failure(self, attempt: RefreshAttempt, error: FetchFailed, started_at: float) -> float:
        self._last_error = str(error)
        self._failed_at = self._loop.time()
        self._is_failure_role_specific = not error.concerns_issuer
        if error.concerns_issuer:
            self._issuer.record_failure(self, str(error), self._retry_now)
        else:
            self._issuer.record_success(started_at)
        token = self.token.current()
        if token is None:
            max_delay_seconds = _MAX_URGENT_RETRY_SECONDS if self.demand else _MAX_RETRY_SECONDS
            delay_seconds = self._breaker.record_failure(max_delay_seconds=max_delay_seconds)
        else:
            # Retry at the latest when the token becomes unusable. From then on, the shorter delays above apply.
            delay_seconds = min(self._breaker.record_failure(), self.token.usable_seconds(token))
        self.demand //= 2
        fields = {
            "error": str(error),
            "failures": self._breaker.failures,
            "circuit_open": self._breaker.is_open,
            "retry_in_seconds": round(delay_seconds, 1),
            "token_in_use_until": None
            if token is None or token.expiration is None
            else token.expiration - self.token.windows.min_lifetime,
        }
        level = logging.ERROR if error.needs_operator or token is None else logging.WARNING
        log.log(level, "credential refresh failed", extra=attempt.log_fields() | fields)
        return delay_seconds

    def _retry_now(self) -> None:
        """Refresh now: the issuer has recovered, and this role's earlier failures were the issuer's."""
        self._breaker.record_success()
        self.refresh()
