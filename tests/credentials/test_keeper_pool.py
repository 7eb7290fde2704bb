"""Keepers of roles over time and reloads, with a source and a clock that the test controls."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.keeper_pool import KeeperPool, RoleSet
from signer.credentials.refresh_windows import RefreshWindows
from signer.credentials.role import RefreshAttempt, RolePlan, RoleState
from signer.credentials.sources.credential_source import FetchFailed
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential
from tests.harness.waiting import deadline, wait_until

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A wall clock that is stopped until the test changes it."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time.timestamp()


class FakeSource:
    """Issues credentials of a given lifetime while its gate is open, or fails."""

    def __init__(self, clock: Clock, lifetime: timedelta | None = timedelta(hours=1)) -> None:
        self.clock = clock
        self.lifetime = lifetime
        self.fetches = 0
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> Credential:
        self.fetches += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        expiration = None if self.lifetime is None else self.clock.time + self.lifetime
        return Credential(f"STS.{self.fetches}", "secret", "token", expiration)


def plan(
    source: FakeSource,
    required_lifetime: timedelta = timedelta(minutes=15),
    identity: str = "r",
    permissions: str = "",
    min_remaining: timedelta = timedelta(seconds=60),
) -> RolePlan:
    windows = RefreshWindows(required_lifetime, min_remaining)
    return RolePlan(identity, source, windows, permissions=permissions or identity)


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Pool:
    """A keeper pool with one active role set."""

    def __init__(self, clock: Clock, fetches_per_second: float = 1000) -> None:
        self._pool = KeeperPool(pacer=FetchPacer(fetches_per_second), wall_clock=clock, on_attempt=self._observe)
        self.attempts: list[RefreshAttempt] = []
        self.roles = RoleSet()

    def _observe(self, attempt: RefreshAttempt) -> None:
        self.attempts.append(attempt)

    def activate(self, plans: dict[str, RolePlan]) -> None:
        self.roles = RoleSet()
        self._pool.prepare(self.roles, plans)
        self._pool.activate(self.roles)

    async def get(self, role: str) -> Credential:
        return await self.roles.get(role)

    def states(self) -> list[RoleState]:
        return self.roles.states()

    async def close(self) -> None:
        await self._pool.close()


@pytest.fixture
async def pool(clock: Clock) -> AsyncIterator[Pool]:
    pool = Pool(clock)
    yield pool
    await pool.close()


async def test_many_requests_cause_one_fetch(pool: Pool, clock: Clock) -> None:
    source = FakeSource(clock)
    source.gate.clear()
    pool.activate({"r": plan(source)})
    requests = [asyncio.create_task(pool.get("r")) for _ in range(1000)]
    await wait_until(lambda: source.fetches == 1)
    source.gate.set()
    assert {credential.access_key_id for credential in await asyncio.gather(*requests)} == {"STS.1"}
    assert source.fetches == 1


async def test_a_cancelled_request_does_not_cancel_the_fetch(pool: Pool, clock: Clock) -> None:
    source = FakeSource(clock)
    source.gate.clear()
    pool.activate({"r": plan(source)})
    first, second = asyncio.create_task(pool.get("r")), asyncio.create_task(pool.get("r"))
    await wait_until(lambda: source.fetches == 1)
    first.cancel()
    source.gate.set()
    assert (await second).access_key_id == "STS.1"


async def test_equal_roles_share_a_token(pool: Pool, clock: Clock) -> None:
    source, other = FakeSource(clock), FakeSource(clock)
    pool.activate({"a": plan(source), "b": plan(other), "c": plan(FakeSource(clock), identity="else")})
    assert await pool.get("a") is await pool.get("b")
    assert await pool.get("c") is not await pool.get("a")
    assert (source.fetches, other.fetches) == (1, 0)


async def test_a_token_is_refreshed_while_it_is_fresh(pool: Pool, clock: Clock) -> None:
    """Its lifetime is 1 s longer than required, and no request triggers the refresh."""
    required_lifetime = timedelta(minutes=15)
    source = FakeSource(clock, required_lifetime + timedelta(seconds=1))
    pool.activate({"r": plan(source, required_lifetime)})
    first = await pool.get("r")
    await wait_until(lambda: source.fetches >= 2)
    second = await pool.get("r")
    assert second.access_key_id != first.access_key_id


async def test_a_failed_fetch_is_retried_and_reported_with_retry_after(pool: Pool, clock: Clock) -> None:
    source = FakeSource(clock)
    source.error = FetchFailed("STS is down")
    pool.activate({"r": plan(source)})
    with pytest.raises(CredentialsUnavailable) as refused:
        await pool.get("r")
    assert refused.value.retry_after_seconds is not None
    [state] = pool.states()
    assert (state.is_usable, state.last_error) == (False, "STS is down")
    assert state.next_attempt_at is not None
    source.error = None
    await wait_until(lambda: pool.states()[0].is_usable)
    assert pool.states()[0].last_error is None


async def test_the_current_token_is_used_while_its_source_is_down(pool: Pool, clock: Clock) -> None:
    required_lifetime = timedelta(minutes=15)
    source = FakeSource(clock, required_lifetime + timedelta(seconds=0.2))
    pool.activate({"r": plan(source, required_lifetime)})
    await pool.get("r")
    source.error = FetchFailed("STS is down")
    await wait_until(lambda: pool.states()[0].last_error is not None)
    clock.time += required_lifetime - timedelta(seconds=61)
    token = await pool.get("r")
    assert token.expiration is not None
    assert token.expiration > clock.time
    clock.time += timedelta(seconds=30)
    with pytest.raises(CredentialsUnavailable):
        await pool.get("r")


async def test_an_expired_credential_is_rejected(pool: Pool, clock: Clock) -> None:
    source = FakeSource(clock, timedelta(seconds=-1))
    pool.activate({"r": plan(source)})
    with pytest.raises(CredentialsUnavailable):
        await pool.get("r")
    assert "has expired" in str(pool.states()[0].last_error)


async def test_an_unexpected_error_is_retried_and_its_text_is_not_shown(
    pool: Pool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    source = FakeSource(clock)
    source.error = RuntimeError("the secret is hunter2")
    pool.activate({"r": plan(source)})
    with pytest.raises(CredentialsUnavailable):
        await pool.get("r")
    assert "hunter2" not in str([record.__dict__ for record in caplog.records]) + str(pool.states())
    source.error = None
    await wait_until(lambda: pool.states()[0].is_usable)


async def test_a_credential_without_expiration_is_kept(pool: Pool, clock: Clock) -> None:
    source = FakeSource(clock, None)
    pool.activate({"r": plan(source)})
    first = await pool.get("r")
    clock.time += timedelta(days=365)
    assert await pool.get("r") is first


async def test_a_renamed_role_keeps_its_token(pool: Pool, clock: Clock) -> None:
    source, again = FakeSource(clock), FakeSource(clock)
    pool.activate({"r": plan(source)})
    first = await pool.get("r")
    pool.activate({"renamed": plan(again)})
    await pool.roles.wait_for_first_attempts(10)
    assert await pool.get("renamed") is first
    assert again.fetches == 0
    assert [state.role for state in pool.states()] == ["renamed"]


async def test_waiting_for_first_attempts_ends_at_the_timeout(pool: Pool, clock: Clock) -> None:
    source = FakeSource(clock)
    source.gate.clear()
    pool.activate({"r": plan(source)})
    async with deadline():
        await pool.roles.wait_for_first_attempts(0.01)
    assert not pool.states()[0].is_usable


async def test_a_clock_that_jumps_forward_causes_a_fetch_at_once(pool: Pool, clock: Clock) -> None:
    """The machine slept or its clock was set: no request waits for the planned refresh."""
    source = FakeSource(clock)
    pool.activate({"r": plan(source)})
    await pool.get("r")
    clock.time += timedelta(hours=2)
    async with deadline():
        credentials = await asyncio.gather(*(pool.get("r") for _ in range(100)))
    assert {credential.access_key_id for credential in credentials} == {"STS.2"}


async def test_requests_do_not_wait_while_the_circuit_is_open(pool: Pool, clock: Clock) -> None:
    source = FakeSource(clock)
    source.error = FetchFailed("STS is down")
    pool.activate({"r": plan(source)})
    await wait_until(lambda: pool.states()[0].circuit_open)
    source.gate.clear()
    fetches = source.fetches
    await wait_until(lambda: source.fetches > fetches)
    async with deadline():
        with pytest.raises(CredentialsUnavailable):
            await pool.get("r")
    source.error = None
    source.gate.set()
    await wait_until(lambda: pool.states()[0].is_usable)
    assert not pool.states()[0].circuit_open


async def test_a_role_with_a_new_key_uses_the_old_token_until_it_has_its_own(
    pool: Pool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    old, wrong, right = FakeSource(clock), FakeSource(clock), FakeSource(clock, timedelta(hours=2))
    wrong.error = FetchFailed("STS rejected the call: InvalidAccessKeyId.NotFound", needs_operator=True)
    pool.activate({"r": plan(old, identity="old key", permissions="role")})
    first = await pool.get("r")
    pool.activate({"r": plan(wrong, identity="wrong key", permissions="role")})
    await wait_until(lambda: pool.states()[0].last_error is not None)
    assert await pool.get("r") is first
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "InvalidAccessKeyId" in record.__dict__["error"]
    pool.activate({"r": plan(right, identity="right key", permissions="role")})
    await wait_until(lambda: right.fetches == 1 and pool.states()[0].last_error is None)

    async def is_replaced() -> bool:
        return await pool.get("r") is not first

    await wait_until(is_replaced)
    assert [attempt.reason for attempt in pool.attempts if attempt.succeeded] == ["start", "changed"]


async def test_a_role_with_other_permissions_does_not_use_the_old_token(pool: Pool, clock: Clock) -> None:
    wide, narrow = FakeSource(clock), FakeSource(clock)
    pool.activate({"r": plan(wide, identity="wide")})
    first = await pool.get("r")
    pool.activate({"r": plan(narrow, identity="narrow")})
    assert await pool.get("r") is not first


async def test_a_request_that_waits_for_a_removed_role_gets_its_token(pool: Pool, clock: Clock) -> None:
    source = FakeSource(clock)
    source.gate.clear()
    pool.activate({"r": plan(source)})
    waiting = asyncio.create_task(pool.roles.get("r"))
    await wait_until(lambda: source.fetches == 1)
    pool.activate({})
    source.gate.set()
    assert (await waiting).access_key_id == "STS.1"


async def test_an_unchanged_role_is_not_fetched_again(pool: Pool, clock: Clock) -> None:
    source, again = FakeSource(clock), FakeSource(clock)
    source.gate.clear()
    pool.activate({"r": plan(source)})
    waiting = asyncio.create_task(pool.roles.get("r"))
    await wait_until(lambda: source.fetches == 1)
    pool.activate({"r": plan(again)})
    source.gate.set()
    assert await waiting is await pool.get("r")
    assert (source.fetches, again.fetches) == (1, 0)


async def test_a_longer_expires_refreshes_the_token_at_once(pool: Pool, clock: Clock) -> None:
    source = FakeSource(clock, timedelta(minutes=20))
    pool.activate({"r": plan(source)})
    await pool.get("r")
    source.lifetime = timedelta(hours=2)
    pool.activate({"r": plan(source, required_lifetime=timedelta(hours=1))})
    await wait_until(lambda: source.fetches == 2)
    assert pool.attempts[-1].reason in ("start", "mandatory")


async def test_a_token_that_expires_before_the_current_one_is_rejected(pool: Pool, clock: Clock) -> None:
    required_lifetime = timedelta(minutes=15)
    source = FakeSource(clock, required_lifetime + timedelta(seconds=0.2))
    pool.activate({"r": plan(source, required_lifetime)})
    first = await pool.get("r")
    source.lifetime = timedelta(minutes=2)
    await wait_until(lambda: source.fetches > 2)
    assert await pool.get("r") is first
    assert "before the current one" in str(pool.states()[0].last_error)


async def test_every_attempt_is_observed_with_its_reason(pool: Pool, clock: Clock) -> None:
    required_lifetime = timedelta(minutes=15)
    source = FakeSource(clock, required_lifetime + timedelta(seconds=0.3))
    source.error = FetchFailed("STS is down")
    pool.activate({"r": plan(source, required_lifetime)})
    await wait_until(lambda: len(pool.attempts) >= 2)
    source.error = None
    await wait_until(lambda: any(attempt.reason == "advisory" for attempt in pool.attempts))
    observed = [(attempt.role, attempt.reason, attempt.succeeded) for attempt in pool.attempts]
    assert observed[:2] == [("r", "start", False), ("r", "retry", False)]
    assert ("r", "retry", True) in observed
    assert ("r", "advisory", True) in observed


async def test_a_request_with_an_expired_token_of_a_removed_role_fails_at_once(pool: Pool, clock: Clock) -> None:
    """The request started with earlier definitions."""
    source = FakeSource(clock)
    pool.activate({"r": plan(source)})
    await pool.get("r")
    previous = pool.roles
    pool.activate({})
    clock.time += timedelta(hours=2)
    async with deadline():
        with pytest.raises(CredentialsUnavailable):
            await previous.get("r")


async def test_only_the_first_attempts_of_new_roles_are_waited_for(pool: Pool, clock: Clock) -> None:
    stuck = FakeSource(clock)
    stuck.gate.clear()
    pool.activate({"stuck": plan(stuck, identity="stuck")})
    pool.activate({"stuck": plan(stuck, identity="stuck"), "new": plan(FakeSource(clock), identity="new")})
    async with deadline():
        await pool.roles.wait_for_first_attempts(3600)
    assert [state.is_usable for state in pool.states()] == [True, False]


async def test_a_removed_role_loses_its_token_but_running_requests_keep_it(pool: Pool, clock: Clock) -> None:
    source, again = FakeSource(clock), FakeSource(clock)
    pool.activate({"r": plan(source)})
    token = await pool.get("r")
    previous = pool.roles
    pool.activate({})
    assert previous.current("r") is None
    assert await previous.get("r") is token
    again.gate.clear()
    pool.activate({"r": plan(again)})
    assert pool.roles.current("r") is None
    assert await previous.get("r") is token


async def test_roles_that_are_removed_before_they_are_fetched_leave_no_garbage(clock: Clock) -> None:
    """An edit may exclude all objects from garbage collection, so circles of references would stay forever."""
    pool = Pool(clock, fetches_per_second=0.001)
    pool.activate({name: plan(FakeSource(clock), identity=name) for name in ("first", "second", "third")})
    await pool.get("first")
    keepers = [weakref.ref(keeper) for keeper in pool.roles.keepers.values()]
    gc.disable()
    try:
        pool.activate({})
        await wait_until(lambda: all(keeper() is None for keeper in keepers))
    finally:
        gc.enable()
        await pool.close()


async def test_tokens_are_never_evicted_by_the_number_of_roles(pool: Pool, clock: Clock) -> None:
    for count in (1, 3, 20):
        plans = {f"r{number}": plan(FakeSource(clock), identity=f"r{number}") for number in range(count)}
        pool.activate(plans)
        await pool.roles.wait_for_first_attempts(10)
        assert all(pool.roles.current(role) is not None for role in plans)


async def test_a_lower_min_remaining_applies_to_the_current_token(pool: Pool, clock: Clock) -> None:
    source = FakeSource(clock)
    pool.activate({"r": plan(source, min_remaining=timedelta(minutes=10))})
    token = await pool.get("r")
    pool.activate({"r": plan(source, min_remaining=timedelta(minutes=1))})
    clock.time += timedelta(minutes=55)
    assert pool.roles.current("r") is token
    assert pool.states()[0].is_usable
    clock.time += timedelta(minutes=4)
    assert pool.roles.current("r") is None
    assert not pool.states()[0].is_usable


async def test_a_clock_that_is_set_back_keeps_the_token(pool: Pool, clock: Clock) -> None:
    source = FakeSource(clock)
    pool.activate({"r": plan(source)})
    token = await pool.get("r")
    clock.time -= timedelta(hours=2)
    assert pool.roles.current("r") is token
    assert source.fetches == 1
