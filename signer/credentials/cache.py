"""The credential cache: one keeper task a role fetches, replaces and retries; requests only read.

Like botocore's RefreshableCredentials it replaces a token early, while the old one still serves: a request waits only
when nothing usable is there, and it never starts a fetch of its own, so one is made however many ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cachetools import TLRUCache

from signer.credentials.source import FetchFailed, Source
from signer.errors import CredentialsUnavailable
from signer.v4 import Credential

log = logging.getLogger("oss_signer.credentials")

LEAST_REMAINING = timedelta(seconds=60)
"""A token that lives shorter than this (and shorter than its apps' `expires`) is not signed with any more."""

_FIRST_RETRY_SECONDS = 0.5
_LAST_RETRY_SECONDS = 30.0
_URGENT_RETRY_SECONDS = 4.0
_MAX_ROLES = 100_000


@dataclass(frozen=True, slots=True)
class RolePlan:
    """How to serve one role: where its token comes from, what makes two roles equal, how long a token must cover."""

    identity: Hashable
    source: Source
    cover: timedelta


@dataclass(frozen=True, slots=True)
class RoleState:
    """What is known of a role, for /readyz and logs."""

    role: str
    usable: bool
    expires_at: datetime | None
    last_error: str | None
    next_attempt_at: datetime | None


def utc_now() -> datetime:
    return datetime.now(UTC)


class CredentialCache:
    def __init__(self, *, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._tokens: TLRUCache[Hashable, Credential] = TLRUCache(
            maxsize=_MAX_ROLES, ttu=_time_to_use, timer=lambda: now().timestamp()
        )
        self._keepers: dict[str, _Keeper] = {}

    def serve(self, plans: Mapping[str, RolePlan]) -> None:
        """From now on keeps a token for each of these roles, by name; tokens of equal roles are taken over."""
        keepers: dict[Hashable, _Keeper] = {}
        names: dict[str, _Keeper] = {}
        for name, plan in plans.items():
            keeper = keepers.get(plan.identity)
            if keeper is None:
                keeper = keepers[plan.identity] = _Keeper(name, plan, self._tokens, self._now)
            keeper.cover = max(keeper.cover, plan.cover)
            names[name] = keeper
        old, self._keepers = self._keepers, names
        for keeper in keepers.values():
            keeper.start()
        for keeper in set(old.values()):
            keeper.stop()

    async def get(self, role: str) -> Credential:
        """A token that covers the role's apps, or at least `LEAST_REMAINING`.

        Raises `CredentialsUnavailable` when there is none and the current attempt fails, or the next is yet to come.
        """
        return await self._keepers[role].get()

    def states(self) -> list[RoleState]:
        return [keeper.state(name) for name, keeper in sorted(self._keepers.items())]

    async def settle(self, timeout_seconds: float) -> None:
        """Waits until each role's first attempt is over, well or not, or until the timeout."""
        attempts = [asyncio.create_task(keeper.first_attempt.wait()) for keeper in set(self._keepers.values())]
        if attempts:
            _, late = await asyncio.wait(attempts, timeout=timeout_seconds)
            for task in late:
                task.cancel()

    async def close(self) -> None:
        keepers = set(self._keepers.values())
        for keeper in keepers:
            keeper.stop()
        await asyncio.gather(*(keeper.stopped() for keeper in keepers))


def _time_to_use(_identity: Hashable, credential: Credential, now: float) -> float:
    return credential.expiration.timestamp() if credential.expiration is not None else now + 10**9


class _Keeper:
    """Keeps one role's token fresh for as long as it runs."""

    def __init__(
        self,
        name: str,
        plan: RolePlan,
        tokens: TLRUCache[Hashable, Credential],
        now: Callable[[], datetime],
    ) -> None:
        self._name = name
        self._plan = plan
        self._tokens = tokens
        self._now = now
        self.cover = plan.cover
        self.first_attempt = asyncio.Event()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._attempt: asyncio.Future[None] | None = None
        self._failures = 0
        self._last_error: str | None = None
        self._next_attempt_at: datetime | None = None

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
        return credential if credential is not None and self._covers_least(credential) else None

    def _covers_least(self, credential: Credential) -> bool:
        if credential.expiration is None:
            return True
        return credential.expiration - self._now() >= min(LEAST_REMAINING, self.cover)

    async def get(self) -> Credential:
        credential = self.usable()
        if credential is None and self._attempt is None and self._failures == 0:
            # The token ended before its time by our clock, which was set or slept.
            self._begin_attempt()
        if credential is None and self._attempt is not None:
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

    async def _run(self) -> None:
        if (kept := self.usable()) is not None:
            self._end_attempt()
            await self._pause(self._until_refresh(kept))
        while True:
            await self._pause(await self._fetch())

    async def _pause(self, seconds: float) -> None:
        self._next_attempt_at = self._now() + timedelta(seconds=seconds)
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
        try:
            credential = await self._plan.source.fetch()
            if not self._covers_least(credential):
                raise FetchFailed("the credential it gave has ended or ends too soon; is a clock wrong?")
        except FetchFailed as error:
            return self._failed(str(error))
        except Exception as error:
            # A defect of an SDK must not end the keeper. Its text may hold secrets, so only its kind is told.
            return self._failed(f"unexpected {type(error).__name__}")
        self._tokens[self._plan.identity] = credential
        self._failures, self._last_error = 0, None
        seconds = self._until_refresh(credential)
        self._next_attempt_at = self._now() + timedelta(seconds=seconds)
        log.info("credential fetched", extra={"role": self._name, "expires_at": credential.expiration})
        self._end_attempt()
        return seconds

    def _failed(self, reason: str) -> float:
        self._failures += 1
        self._last_error = reason
        longest = _URGENT_RETRY_SECONDS if self.usable() is None else _LAST_RETRY_SECONDS
        backoff: float = min(longest, _FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 10))
        seconds = backoff * random.uniform(0.5, 1)  # noqa: S311
        self._next_attempt_at = self._now() + timedelta(seconds=seconds)
        log.warning(
            "credential fetch failed",
            extra={"role": self._name, "reason": reason, "failures": self._failures, "retry_in_seconds": seconds},
        )
        self._end_attempt()
        return seconds

    def _until_refresh(self, credential: Credential) -> float:
        """Seconds until the token is replaced: at a random moment in the second half of what it has to spare."""
        if credential.expiration is None:
            return float(24 * 3600)
        left = (credential.expiration - self._now()).total_seconds()
        spare = left - self.cover.total_seconds()
        if spare > 0:
            return max(spare * random.uniform(0.5, 0.9), 0.1)  # noqa: S311
        # It cannot cover the apps: metadata services rotate late, so ask again soon.
        return min(60.0, max(left / 4, 0.5)) * random.uniform(0.5, 1)  # noqa: S311

    def state(self, name: str) -> RoleState:
        credential = self._tokens.get(self._plan.identity)
        return RoleState(
            role=name,
            usable=self.usable() is not None,
            expires_at=None if credential is None else credential.expiration,
            last_error=self._last_error,
            next_attempt_at=self._next_attempt_at,
        )
