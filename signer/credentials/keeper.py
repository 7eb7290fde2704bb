"""Keeps the token of one role fresh."""

import asyncio
import contextlib
import logging
import math
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from signer.circuit_breaker import CircuitBreaker
from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.refresh_windows import RefreshWindows, TokenState
from signer.credentials.role import RefreshAttempt, RefreshReason, RolePlan, RoleState
from signer.credentials.sources.credential_source import FetchFailed
from signer.credentials.token_cache import TokenCache
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential

log = logging.getLogger("oss_signer.credentials")

_UNLIMITED = timedelta(days=36500)
_REREAD_SECONDS = 60.0
"""How often a credential that does not expire is read again, since its file may have been rotated."""
_MAX_URGENT_RETRY_SECONDS = 4.0
"""The longest delay between attempts while the role has no usable token."""
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
        pacer: FetchPacer,
        on_attempt: Callable[[RefreshAttempt], None],
    ) -> None:
        """Create a keeper; `start` starts its task. All keepers share the cache and the pacer."""
        self.permissions = plan.permissions
        self.is_settled = asyncio.Event()
        """Set after the first attempt, or by `start` if it gets a token."""
        self._name = name
        self._source = plan.source
        self._windows = plan.windows
        self._tokens = tokens
        self._pacer = pacer
        self._on_attempt = on_attempt
        self._breaker = CircuitBreaker(
            failure_threshold=3, first_delay_seconds=0.5, max_delay_seconds=30.0, jitter=(0.5, 1.0)
        )
        self._task: asyncio.Task[None] | None = None
        self._wake_up = asyncio.Event()
        self._attempt_done: asyncio.Future[None] | None = None
        """Resolved at the end of the attempt that requests may wait for; None if there is no such attempt."""
        self._reason = RefreshReason.START
        self._token_expires_at: datetime | None = None
        self._fetched_at: datetime | None = None
        self._last_error: str | None = None
        self._next_attempt_at: datetime | None = None
        self._retired = False
        self._final_token: Credential | None = None
        """The token of a retired keeper, for requests that started with earlier definitions."""

    def start(self, inherited_token: Credential | None = None) -> None:
        """Start the task. A role whose AccessKey changed uses its earlier token until the first attempt succeeds."""
        if inherited_token is None:
            self._make_attempt_due()
        else:
            self._reason = RefreshReason.CHANGED
            self._store(inherited_token)
            self.is_settled.set()
        self._task = asyncio.create_task(self._run(), name=f"credentials of {self._name}")

    def reconfigure(self, name: str, windows: RefreshWindows) -> None:
        """Apply the role's new name and windows; refresh the token if its remaining lifetime is too short for them."""
        self._name = name
        if windows == self._windows:
            return
        self._windows = windows
        token = self.current()
        if token is not None:
            self._store(token)
        if self._token_state() is not TokenState.FRESH:
            self.refresh()

    def refresh(self) -> None:
        """Refresh the token now, unless the last attempt failed: then the next retry is early enough."""
        if not self._breaker.failures and not self._retired:
            self._make_attempt_due()

    def retire(self) -> None:
        """Remove the token from the cache, and end the task after the current attempt."""
        self._final_token = self._tokens.pop(self, None)
        self._retired = True
        self._wake_up.set()

    async def close(self) -> None:
        """Cancel the task and the fetch under way, and wait until it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def usable_until(self, token: Credential) -> float:
        """Return the time until which the token may be used to sign, in epoch seconds."""
        return math.inf if token.expiration is None else (token.expiration - self._windows.min_lifetime).timestamp()

    def current(self) -> Credential | None:
        """Return the role's token, or None if there is none that is usable."""
        if not self._retired:
            return self._tokens[self]
        token = self._final_token
        return token if token is not None and self._tokens.timer() < self.usable_until(token) else None

    async def get(self) -> Credential:
        """Return the role's token, waiting for the current attempt, or raise `CredentialsUnavailable`."""
        token = self.current()
        if token is None and self._attempt_done is None:
            # The clock was set forward or the machine slept: the token expired while the keeper was asleep.
            self.refresh()
        if token is None and self._attempt_done is not None and not self._breaker.is_open:
            # Shielded, so that a request that is cancelled does not cancel the wait of the others.
            await asyncio.shield(self._attempt_done)
            token = self.current()
        if token is None:
            next_at = self._next_attempt_at
            raise CredentialsUnavailable(
                "this app has no usable credential right now; retry after the seconds in Retry-After",
                retry_after_seconds=1.0 if next_at is None else (next_at - self._now()).total_seconds(),
            )
        return token

    def state(self, name: str) -> RoleState:
        """Return the role's state for one of the names that share this keeper; safe in any thread."""
        expires_at = self._token_expires_at
        return RoleState(
            role=name,
            token_state=self._token_state(),
            circuit_open=self._breaker.is_open,
            expires_at=expires_at,
            remaining=None if expires_at is None else expires_at - self._now(),
            last_error=self._last_error,
            next_attempt_at=self._next_attempt_at,
            fetched_at=self._fetched_at,
            required_lifetime=self._windows.required_lifetime,
        )

    async def _run(self) -> None:
        try:
            while not self._retired:
                delay_seconds = await self._attempt_refresh()
                await self._sleep(delay_seconds)
        finally:
            self._finish_attempt()

    async def _sleep(self, seconds: float) -> None:
        """Wait until the next attempt is due or requested."""
        self._wake_up.clear()
        if self._retired:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake_up.wait()
        if not self._retired:
            self._reason = self._next_reason()
            self._make_attempt_due()

    def _next_reason(self) -> RefreshReason:
        if self._breaker.failures:
            return RefreshReason.RETRY
        return {
            TokenState.FRESH: RefreshReason.ADVISORY,
            TokenState.SHORT: RefreshReason.MANDATORY,
            TokenState.UNUSABLE: RefreshReason.NO_TOKEN,
        }[self._token_state()]

    def _make_attempt_due(self) -> None:
        if self._attempt_done is None:
            self._attempt_done = asyncio.get_running_loop().create_future()
        self._wake_up.set()

    def _finish_attempt(self) -> None:
        attempt_done, self._attempt_done = self._attempt_done, None
        self.is_settled.set()
        if attempt_done is not None and not attempt_done.done():
            attempt_done.set_result(None)

    async def _attempt_refresh(self) -> float:
        """Fetch a token once, and return the seconds until the next attempt."""
        await self._pacer.wait(urgent=self.current() is None)
        started = time.monotonic()
        result = await self._fetch()
        seconds = time.monotonic() - started
        attempt = RefreshAttempt(self._name, self._reason, not isinstance(result, FetchFailed), seconds)
        if isinstance(result, FetchFailed):
            delay_seconds = self._record_failure(attempt, result)
        else:
            delay_seconds = self._record_success(attempt, result)
        self._next_attempt_at = self._now() + timedelta(seconds=delay_seconds)
        self._on_attempt(attempt)
        self._finish_attempt()
        return delay_seconds

    async def _fetch(self) -> Credential | FetchFailed:
        try:
            token = await self._source.fetch()
            self._validate(token)
        except FetchFailed as error:
            return error
        except Exception as error:
            # A defect in an SDK must not end the task. Its text may contain secrets, so only its type is kept.
            return FetchFailed(f"unexpected {type(error).__name__}", needs_operator=True)
        return token

    def _validate(self, token: Credential) -> None:
        remaining_life = self._remaining_life(token.expiration)
        if self._windows.token_state(remaining_life) is TokenState.UNUSABLE:
            raise FetchFailed("the credential has expired or expires too soon; check the clocks")
        current = self.current()
        if current is not None and remaining_life < self._remaining_life(current.expiration):
            raise FetchFailed("the credential expires before the current one")

    def _record_success(self, attempt: RefreshAttempt, token: Credential) -> float:
        is_new = token != self.current()
        self._store(token)
        if is_new:
            self._fetched_at = self._now()
        self._breaker.record_success()
        self._last_error = None
        if token.expiration is None:
            delay_seconds = _REREAD_SECONDS * _RANDOM.uniform(0.5, 1)
        else:
            delay_seconds = self._windows.seconds_until_refresh(self._remaining_life(token.expiration), _RANDOM.uniform)
        log.log(
            logging.INFO if is_new else logging.DEBUG,
            "credential refreshed",
            extra=_log_fields(attempt) | {"expires_at": token.expiration, "next_in_seconds": round(delay_seconds, 1)},
        )
        return delay_seconds

    def _record_failure(self, attempt: RefreshAttempt, error: FetchFailed) -> float:
        self._last_error = str(error)
        token = self.current()
        if token is None:
            delay_seconds = self._breaker.record_failure(max_delay_seconds=_MAX_URGENT_RETRY_SECONDS)
        else:
            # Retry no later than the token becomes unusable: from then on, the shorter delays above apply.
            usable_seconds = self.usable_until(token) - self._tokens.timer()
            delay_seconds = min(self._breaker.record_failure(), usable_seconds)
        fields = {
            "error": str(error),
            "failures": self._breaker.failures,
            "circuit_open": self._breaker.is_open,
            "retry_in_seconds": round(delay_seconds, 1),
            "token_in_use_until": None
            if token is None or token.expiration is None
            else token.expiration - self._windows.min_lifetime,
        }
        level = logging.ERROR if error.needs_operator or token is None else logging.WARNING
        log.log(level, "credential refresh failed", extra=_log_fields(attempt) | fields)
        return delay_seconds

    def _store(self, token: Credential) -> None:
        self._token_expires_at = token.expiration
        if self._retired:
            self._final_token = token
        else:
            self._tokens[self] = token

    def _token_state(self) -> TokenState:
        if self not in self._tokens:
            return TokenState.UNUSABLE
        return self._windows.token_state(self._remaining_life(self._token_expires_at))

    def _remaining_life(self, expiration: datetime | None) -> timedelta:
        return _UNLIMITED if expiration is None else expiration - self._now()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._tokens.timer(), UTC)


def _log_fields(attempt: RefreshAttempt) -> dict[str, object]:
    return {"role": attempt.role, "reason": attempt.reason, "seconds": round(attempt.seconds, 3)}
