"""Keeps one role's token fresh for as long as it runs: the only one who fetches it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from signer.circuit_breaker import CircuitBreaker
from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.refresh_windows import RefreshWindows, TokenState
from signer.credentials.sources.credential_source import FetchFailed, Source
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential

log = logging.getLogger("oss_signer.credentials")

_NO_END = timedelta(days=36500)
_ENDLESS_SECONDS = 60.0
"""How often a credential without end is read anew; its file may have been rotated."""
_URGENT_MAX_DELAY_SECONDS = 4.0
"""Without a usable token the source is tried at least this often, so that its return is noticed within 5 s."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_JITTER = random.Random()  # noqa: S311


@dataclass(frozen=True, slots=True)
class RolePlan:
    """How to serve one role: where its token comes from, what makes two roles equal, how long a token must cover."""

    identity: Hashable
    source: Source
    windows: RefreshWindows
    grants: Hashable = None
    """What a token of the role may do, whoever asked for it: a role with a new key may go on with its old token."""


class Reason(StrEnum):
    """Why a token is fetched."""

    START = "start"
    ADVISORY = "advisory"
    """The old one is fresh, and is to be replaced while it is."""
    MANDATORY = "mandatory"
    """The old one no longer covers its apps' `expires`."""
    ENDED = "ended"
    """Nothing usable is held."""
    RETRY = "retry"
    CHANGED = "changed"
    """The definitions name another key for the same role."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """One attempt that is over."""

    role: str
    reason: Reason
    succeeded: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class RoleState:
    """What is known of a role, for /readyz, metrics and logs."""

    role: str
    token_state: TokenState
    circuit_open: bool
    expires_at: datetime | None
    remaining: timedelta | None
    """None: nothing is held, or what is held has no end."""
    last_error: str | None
    next_attempt_at: datetime | None
    fetched_at: datetime | None
    """None: nothing was fetched yet, or what is held was taken over from a former key."""
    cover: timedelta
    """How much of a token's life its apps' forms need; it is replaced before no more than that is left."""

    @property
    def usable(self) -> bool:
        return self.token_state is not TokenState.UNUSABLE


class Keeper:
    """One task that fetches, replaces and retries; requests read the token, or wait for the attempt under way."""

    def __init__(
        self,
        name: str,
        plan: RolePlan,
        pacer: FetchPacer,
        now: Callable[[], datetime],
        observe: Callable[[Refresh], None],
    ) -> None:
        self.grants = plan.grants
        self.first_attempt = asyncio.Event()
        self._name = name
        self._source = plan.source
        self._windows = plan.windows
        self._pacer = pacer
        self._now = now
        self._observe = observe
        self._token: Credential | None = None
        self._usable_until = _NEVER
        self._fetched_at: datetime | None = None
        self._reason = Reason.START
        self._breaker = CircuitBreaker(
            failure_threshold=3, first_delay_seconds=0.5, max_delay_seconds=30.0, jitter=(0.5, 1.0)
        )
        self._attempt: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._retired = False
        self._task: asyncio.Task[None] | None = None
        self._last_error: str | None = None
        self._next_attempt_at: datetime | None = None

    def start(self, token_of_former_key: Credential | None = None) -> None:
        """`token_of_former_key` serves until a new one is fetched."""
        self._begin_attempt()
        if token_of_former_key is not None:
            self._reason = Reason.CHANGED
            self._hold(token_of_former_key)
            self._end_attempt()
        self._task = asyncio.create_task(self._run(), name=f"credentials of {self._name}")

    def adopt(self, name: str, windows: RefreshWindows) -> None:
        """The definitions changed the role's name, or what its tokens must cover."""
        self._name = name
        if windows == self._windows:
            return
        self._windows = windows
        self._hold(self._token)
        if self._token_state() is not TokenState.FRESH and not self._breaker.failures:
            self._begin_attempt()

    def refresh(self) -> None:
        """What is held is not good any more, whatever it says of itself."""
        if not self._breaker.failures and not self._retired:
            self._begin_attempt()

    def retire(self) -> None:
        """Ends once the attempt under way is over, so that nobody who waits for it is let down."""
        self._retired = True
        self._wake.set()

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def stopped(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])

    def usable(self, now: datetime | None = None) -> Credential | None:
        return self._token if (now or self._now()) <= self._usable_until else None

    def _hold(self, token: Credential | None) -> None:
        self._token = token
        self._usable_until = _NEVER if token is None else self._windows.usable_until(token.expiration)

    async def get(self) -> Credential:
        """Raises `CredentialsUnavailable` when nothing usable is held and no attempt gives hope of it."""
        credential = self.usable()
        if credential is None and self._attempt is None and self._breaker.failures == 0 and not self._retired:
            # The token ended before its time by our clock, which was set or slept.
            self._begin_attempt()
        if credential is None and self._attempt is not None and not self._breaker.is_open:
            # Shielded, since a caller that goes away must not end the wait of the others.
            await asyncio.shield(self._attempt)
            credential = self.usable()
        if credential is None:
            raise self._unavailable()
        return credential

    def _unavailable(self) -> CredentialsUnavailable:
        wait = 1.0
        if self._next_attempt_at is not None:
            wait = (self._next_attempt_at - self._now()).total_seconds()
        return CredentialsUnavailable("no credential can be had for this app right now", retry_after_seconds=wait)

    def _token_state(self) -> TokenState:
        return TokenState.UNUSABLE if self._token is None else self._windows.token_state(self._remaining(self._token))

    def _remaining(self, token: Credential) -> timedelta:
        return _NO_END if token.expiration is None else token.expiration - self._now()

    async def _run(self) -> None:
        try:
            while not self._retired:
                await self._pause(await self._fetch())
        finally:
            self._end_attempt()

    async def _pause(self, seconds: float) -> None:
        if self._retired:
            return
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._reason = self._why()
        if not self._retired:
            self._begin_attempt()

    def _why(self) -> Reason:
        if self._breaker.failures:
            return Reason.RETRY
        return {
            TokenState.FRESH: Reason.ADVISORY,
            TokenState.SHORT: Reason.MANDATORY,
            TokenState.UNUSABLE: Reason.ENDED,
        }[self._token_state()]

    def _begin_attempt(self) -> None:
        if self._attempt is None:
            self._attempt = asyncio.get_running_loop().create_future()
        self._wake.set()

    def _end_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        self.first_attempt.set()
        if attempt is not None and not attempt.done():
            attempt.set_result(None)

    async def _fetch(self) -> float:
        """One attempt; the seconds until the next."""
        await self._pacer.wait(urgent=self.usable() is None)
        started = time.monotonic()
        try:
            credential = await self._source.fetch()
            self._check(credential)
        except FetchFailed as error:
            failure = error
        except Exception as error:
            # A defect of an SDK must not end the keeper. Its text may hold secrets, so only its kind is told.
            failure = FetchFailed(f"unexpected {type(error).__name__}", loud=True)
        else:
            return self._succeeded(credential, time.monotonic() - started)
        return self._failed(failure, time.monotonic() - started)

    def _check(self, credential: Credential) -> None:
        remaining = self._remaining(credential)
        if self._windows.token_state(remaining) is TokenState.UNUSABLE:
            raise FetchFailed("the credential it gave has ended or ends too soon; is a clock wrong?")
        if self._token is not None and remaining < self._remaining(self._token):
            raise FetchFailed("the credential it gave ends sooner than the one in use")

    def _succeeded(self, credential: Credential, took_seconds: float) -> float:
        changed = self._token != credential
        self._hold(credential)
        if changed:
            self._fetched_at = self._now()
        self._breaker.record_success()
        self._last_error = None
        wait_seconds = self._plan_next(self._until_refresh(credential))
        self._observe(Refresh(self._name, self._reason, True, took_seconds))
        log.log(
            logging.INFO if changed else logging.DEBUG,
            "credential fetched",
            extra={
                "role": self._name,
                "reason": self._reason,
                "seconds": round(took_seconds, 3),
                "expires_at": credential.expiration,
                "next_in_seconds": round(wait_seconds, 1),
            },
        )
        self._end_attempt()
        return wait_seconds

    def _failed(self, failure: FetchFailed, took_seconds: float) -> float:
        self._last_error = str(failure)
        held = self.usable()
        wait_seconds = self._breaker.record_failure(
            max_delay_seconds=_URGENT_MAX_DELAY_SECONDS if held is None else None
        )
        if held is not None:
            # Once it is out, the source is asked at the pace of those who hold nothing.
            wait_seconds = min(wait_seconds, self._windows.seconds_usable(self._remaining(held)))
        self._plan_next(wait_seconds)
        self._observe(Refresh(self._name, self._reason, False, took_seconds))
        log.log(
            logging.ERROR if failure.loud or held is None else logging.WARNING,
            f"credential fetch failed: {failure}",
            extra={
                "role": self._name,
                "reason": self._reason,
                "seconds": round(took_seconds, 3),
                "failures": self._breaker.failures,
                "circuit_open": self._breaker.is_open,
                "retry_in_seconds": round(wait_seconds, 1),
                "token_in_use_until": None if held is None else held.expiration,
            },
        )
        self._end_attempt()
        return wait_seconds

    def _plan_next(self, seconds: float) -> float:
        self._next_attempt_at = self._now() + timedelta(seconds=seconds)
        return seconds

    def _until_refresh(self, credential: Credential) -> float:
        if credential.expiration is None:
            return _ENDLESS_SECONDS * _JITTER.uniform(0.5, 1)
        return self._windows.seconds_until_refresh(self._remaining(credential), _JITTER.uniform)

    def state(self, name: str) -> RoleState:
        ends = None if self._token is None else self._token.expiration
        return RoleState(
            role=name,
            token_state=self._token_state(),
            circuit_open=self._breaker.is_open,
            expires_at=ends,
            remaining=None if ends is None else ends - self._now(),
            last_error=self._last_error,
            next_attempt_at=self._next_attempt_at,
            fetched_at=self._fetched_at,
            cover=self._windows.cover,
        )
