"""Many roles in virtual time: an STS that tests break, and requests whose waits are measured."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.keeper_pool import KeeperPool, RoleSet
from signer.credentials.refresh_windows import RefreshWindows
from signer.credentials.role import RolePlan
from signer.credentials.sources.credential_source import FetchFailed
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential

START = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN_LIFETIME = timedelta(minutes=20)
EXPIRES = timedelta(minutes=5)
TIMEOUT_SECONDS = 10.0
UNREACHABLE = FetchFailed("STS refused the connection", concerns_issuer=True)
FORBIDDEN = FetchFailed("STS rejected the call: NoPermission", needs_operator=True)


def now() -> float:
    """Return the seconds since the start."""
    return asyncio.get_running_loop().time()


@dataclass
class SimulatedSts:
    """Issues tokens after a delay, fails, or hangs."""

    latency_seconds: float = 0.1
    error: FetchFailed | None = None
    hangs: bool = False
    lifetime: timedelta = TOKEN_LIFETIME
    reissued: Credential | None = None
    """Returned by all fetches, if set."""
    calls: list[tuple[float, str]] = field(default_factory=list)
    """When each fetch started, and its role."""
    errors: dict[str, FetchFailed] = field(default_factory=dict)
    """By role."""

    @property
    def roles(self) -> list[str]:
        """The roles in the order of their fetches."""
        return [role for _, role in self.calls]

    def max_in_a_second(self) -> int:
        """Return the largest number of fetches that started within one second."""
        times = [at for at, _ in self.calls]
        return max(bisect_left(times, at + 0.9999) - index for index, at in enumerate(times))

    async def fetch(self, role: str) -> Credential:
        """Respond as STS does, or fail at the deadline."""
        self.calls.append((now(), role))
        if self.hangs:
            await asyncio.sleep(TIMEOUT_SECONDS)
            raise FetchFailed("timed out", concerns_issuer=True)
        error = self.errors.get(role) or self.error
        await asyncio.sleep(self.latency_seconds)
        if error is not None:
            raise error
        if self.reissued is not None:
            return self.reissued
        return Credential(f"STS.{len(self.calls)}", "secret", "token", START + timedelta(seconds=now()) + self.lifetime)


@dataclass(frozen=True)
class _Source:
    sts: SimulatedSts
    role: str

    async def fetch(self) -> Credential:
        return await self.sts.fetch(self.role)


@dataclass(frozen=True)
class Answer:
    """How a request for a token ended."""

    waited_seconds: float
    retry_after_seconds: int | None
    """None: it got a token."""


class SimulatedRoles:
    """A pool with one active role set."""

    def __init__(self, machine_per_second: float, workers: int) -> None:
        self.pacer = FetchPacer.for_worker(machine_per_second, workers)
        self.pool = KeeperPool(pacer=self.pacer, wall_clock=lambda: START.timestamp() + now())
        self.roles = RoleSet()

    def activate(self, sources: dict[str, SimulatedSts], *, expires: timedelta = EXPIRES) -> None:
        """Activate a role for each name; those of the same STS share an issuer."""
        self.roles = self.prepare(sources, expires=expires)
        self.pool.activate(self.roles)

    def prepare(self, sources: dict[str, SimulatedSts], *, expires: timedelta = EXPIRES) -> RoleSet:
        """Return a role set that is not active yet, as during a reload."""
        windows = RefreshWindows(expires, timedelta(seconds=60))
        plans = {
            name: RolePlan(name, _Source(sts, name), windows, issuer=id(sts), timeout_seconds=TIMEOUT_SECONDS)
            for name, sts in sources.items()
        }
        roles = RoleSet()
        self.pool.prepare(roles, plans)
        return roles

    async def replace(self, role: str | None = None, *, keep: bool = False, timeout_seconds: float = 30) -> list[str]:
        """Replace tokens, and return the outcomes by name of the roles."""
        replacements = await self.pool.replace_tokens(role, keep=keep, timeout_seconds=timeout_seconds)
        return [replacement.outcome for replacement in replacements]

    async def request(self, role: str) -> Answer:
        """Request the token of a role, as the service does."""
        started_at = now()
        if self.roles.current(role) is not None:
            return Answer(0.0, None)
        try:
            await self.roles.get(role)
        except CredentialsUnavailable as error:
            return Answer(now() - started_at, error.retry_after_seconds)
        return Answer(now() - started_at, None)

    def usable(self) -> set[str]:
        """Return the roles that have a usable token."""
        return {state.role for state in self.roles.states() if state.is_usable}


@contextlib.asynccontextmanager
async def simulated_roles(machine_per_second: float = 30, workers: int = 1) -> AsyncIterator[SimulatedRoles]:
    """Run a pool until the end of the block."""
    roles = SimulatedRoles(machine_per_second, workers)
    try:
        yield roles
    finally:
        await roles.pool.close()


def names(count: int, prefix: str = "r") -> list[str]:
    """Return the names of some roles."""
    return [f"{prefix}{number}" for number in range(count)]


async def until(seconds: float) -> None:
    """Sleep until this many seconds after the start."""
    await asyncio.sleep(seconds - now())
