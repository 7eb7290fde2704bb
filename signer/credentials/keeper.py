"""Keeps one role's token fresh for as long as it runs: the only one who fetches it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Hashable, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from signer.credentials.backoff import Backoff
from signer.credentials.pacer import Pacer
from signer.credentials.source import FetchFailed, Source
from signer.credentials.windows import Standing, Windows
from signer.errors import CredentialsUnavailable
from signer.v4 import Credential

log = logging.getLogger("oss_signer.credentials")

_NO_END = timedelta(days=36500)
_JITTER = random.Random()  # noqa: S311


@dataclass(frozen=True, slots=True)
class RolePlan:
    """How to serve one role: where its token comes from, what makes two roles equal, how long a token must cover."""

    identity: Hashable
    source: Source
    windows: Windows


@dataclass(frozen=True, slots=True)
class RoleState:
    """What is known of a role, for /readyz and logs."""

    role: str
    standing: Standing
    circuit_open: bool
    expires_at: datetime | None
    last_error: str | None
    next_attempt_at: datetime | None

    @property
    def usable(self) -> bool:
        return self.standing is not Standing.NONE


class Keeper:
    """One task that fetches, replaces and retries; requests read the token, or wait for the attempt under way."""

    def __init__(
        self,
        name: str,
        plan: RolePlan,
        tokens: MutableMapping[Hashable, Credential],
        pacer: Pacer,
        now: Callable[[], datetime],
    ) -> None:
        self._name = name
        self._plan = plan
        self._tokens = tokens
        self._pacer = pacer
        self._now = now
        self._backoff = Backoff(_JITTER.uniform)
        self._attempt: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last_error: str | None = None
        self._next_attempt_at: datetime | None = None
        self.first_attempt = asyncio.Event()

    def start(self) -> None:
        self._begin_attempt()
        self._task = asyncio.create_task(self._run(), name=f"credentials of {self._name}")

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def stopped(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])

    def usable(self) -> Credential | None:
        credential = self._tokens.get(self._plan.identity)
        return credential if credential is not None and self._standing(credential) is not Standing.NONE else None

    async def get(self) -> Credential:
        """Raises `CredentialsUnavailable` when nothing usable is held and no attempt gives hope of it."""
        credential = self.usable()
        if credential is None and self._attempt is None and self._backoff.failures == 0:
            # The token ended before its time by our clock, which was set or slept.
            self._begin_attempt()
        if credential is None and self._attempt is not None and not self._backoff.open:
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

    def _standing(self, credential: Credential) -> Standing:
        remaining = _NO_END if credential.expiration is None else credential.expiration - self._now()
        return self._plan.windows.standing(remaining)

    async def _run(self) -> None:
        if (kept := self.usable()) is not None:
            self._end_attempt()
            await self._pause(self._until_refresh(kept))
        while True:
            await self._pause(await self._fetch())

    async def _pause(self, seconds: float) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._begin_attempt()

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
        await self._pacer.turn(urgent=self.usable() is None)
        try:
            credential = await self._plan.source.fetch()
            if self._standing(credential) is Standing.NONE:
                raise FetchFailed("the credential it gave has ended or ends too soon; is a clock wrong?")
        except FetchFailed as error:
            return self._failed(str(error))
        except Exception as error:
            # A defect of an SDK must not end the keeper. Its text may hold secrets, so only its kind is told.
            return self._failed(f"unexpected {type(error).__name__}")
        return self._succeeded(credential)

    def _succeeded(self, credential: Credential) -> float:
        self._tokens[self._plan.identity] = credential
        self._backoff.succeeded()
        self._last_error = None
        seconds = self._plan_next(self._until_refresh(credential))
        log.info("credential fetched", extra={"role": self._name, "expires_at": credential.expiration})
        self._end_attempt()
        return seconds

    def _failed(self, reason: str) -> float:
        self._last_error = reason
        seconds = self._plan_next(self._backoff.failed(urgent=self.usable() is None))
        log.warning(
            "credential fetch failed",
            extra={
                "role": self._name,
                "reason": reason,
                "failures": self._backoff.failures,
                "retry_in_seconds": round(seconds, 1),
                "token_in_use": self.usable() is not None,
            },
        )
        self._end_attempt()
        return seconds

    def _plan_next(self, seconds: float) -> float:
        self._next_attempt_at = self._now() + timedelta(seconds=seconds)
        return seconds

    def _until_refresh(self, credential: Credential) -> float:
        if credential.expiration is None:
            return float(24 * 3600)
        return self._plan.windows.seconds_until_refresh(credential.expiration - self._now(), _JITTER.uniform)

    def state(self, name: str) -> RoleState:
        credential = self._tokens.get(self._plan.identity)
        return RoleState(
            role=name,
            standing=Standing.NONE if credential is None else self._standing(credential),
            circuit_open=self._backoff.open,
            expires_at=None if credential is None else credential.expiration,
            last_error=self._last_error,
            next_attempt_at=self._next_attempt_at,
        )
