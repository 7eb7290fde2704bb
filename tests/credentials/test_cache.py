"""The credential cache, driven through its public ways by a source of ours and a clock that we set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from signer.credentials.cache import CredentialCache, RoleSet
from signer.credentials.keeper import Refresh, RolePlan, RoleState
from signer.credentials.refresh_windows import RefreshWindows
from signer.credentials.sources.credential_source import FetchFailed
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment


class Source:
    """Gives credentials of a set life, one at each release; or fails."""

    def __init__(self, clock: Clock, life: timedelta | None = timedelta(hours=1)) -> None:
        self.clock = clock
        self.life = life
        self.fetches = 0
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> Credential:
        self.fetches += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        expiration = None if self.life is None else self.clock.moment + self.life
        return Credential(f"STS.{self.fetches}", "secret", "token", expiration)


def plan(source: Source, cover: timedelta = timedelta(minutes=15), identity: str = "r", grants: str = "") -> RolePlan:
    return RolePlan(identity, source, RefreshWindows(cover, least=timedelta(seconds=60)), grants=grants or identity)


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Served:
    """A cache with one set of roles in force, as the service holds it."""

    def __init__(self, clock: Clock) -> None:
        self._cache = CredentialCache(now=clock, observe=self._observe)
        self.refreshes: list[Refresh] = []
        self.roles = RoleSet()

    def _observe(self, refresh: Refresh) -> None:
        self.refreshes.append(refresh)

    def serve(self, plans: dict[str, RolePlan]) -> None:
        self.roles = RoleSet()
        self._cache.prepare(self.roles, plans)
        self._cache.activate(self.roles)

    async def get(self, role: str) -> Credential:
        return await self.roles.get(role)

    def states(self) -> list[RoleState]:
        return self.roles.states()

    async def settle(self, timeout_seconds: float) -> None:
        await self.roles.wait_for_first_attempts(timeout_seconds)

    async def close(self) -> None:
        await self._cache.close()


@pytest.fixture
async def cache(clock: Clock) -> AsyncIterator[Served]:
    cache = Served(clock)
    yield cache
    await cache.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


async def test_one_fetch_however_many_ask(cache: Served, clock: Clock) -> None:
    source = Source(clock)
    source.gate.clear()
    cache.serve({"r": plan(source)})
    asking = [asyncio.create_task(cache.get("r")) for _ in range(1000)]
    await until(lambda: source.fetches == 1)
    source.gate.set()
    assert {credential.access_key_id for credential in await asyncio.gather(*asking)} == {"STS.1"}
    assert source.fetches == 1


async def test_a_caller_that_goes_away_ends_no_fetch(cache: Served, clock: Clock) -> None:
    source = Source(clock)
    source.gate.clear()
    cache.serve({"r": plan(source)})
    first, second = asyncio.create_task(cache.get("r")), asyncio.create_task(cache.get("r"))
    await until(lambda: source.fetches == 1)
    first.cancel()
    source.gate.set()
    assert (await second).access_key_id == "STS.1"


async def test_equal_roles_share_a_token(cache: Served, clock: Clock) -> None:
    source, other = Source(clock), Source(clock)
    cache.serve({"a": plan(source), "b": plan(other), "c": plan(Source(clock), identity="else")})
    assert await cache.get("a") is await cache.get("b")
    assert await cache.get("c") is not await cache.get("a")
    assert (source.fetches, other.fetches) == (1, 0)


async def test_a_token_is_replaced_while_it_still_covers_its_apps(cache: Served, clock: Clock) -> None:
    """A life of 1 s to spare: the next fetch comes by itself, nobody asks."""
    cover = timedelta(minutes=15)
    source = Source(clock, cover + timedelta(seconds=1))
    cache.serve({"r": plan(source, cover)})
    first = await cache.get("r")
    await until(lambda: source.fetches >= 2)
    second = await cache.get("r")
    assert second.access_key_id != first.access_key_id


async def test_a_failed_fetch_is_a_503_with_retry_after_and_then_mends(cache: Served, clock: Clock) -> None:
    source = Source(clock)
    source.error = FetchFailed("STS is away")
    cache.serve({"r": plan(source)})
    with pytest.raises(CredentialsUnavailable) as refused:
        await cache.get("r")
    assert refused.value.retry_after_seconds is not None
    [state] = cache.states()
    assert (state.usable, state.last_error) == (False, "STS is away")
    assert state.next_attempt_at is not None
    source.error = None
    await until(lambda: cache.states()[0].usable)
    assert cache.states()[0].last_error is None


async def test_an_old_token_serves_while_its_source_is_dead(cache: Served, clock: Clock) -> None:
    cover = timedelta(minutes=15)
    source = Source(clock, cover + timedelta(seconds=0.2))
    cache.serve({"r": plan(source, cover)})
    await cache.get("r")
    source.error = FetchFailed("STS is away")
    await until(lambda: cache.states()[0].last_error is not None)
    clock.moment += cover - timedelta(seconds=61)
    good = await cache.get("r")
    assert good.expiration is not None
    assert good.expiration > clock.moment
    clock.moment += timedelta(seconds=30)
    with pytest.raises(CredentialsUnavailable):
        await cache.get("r")


async def test_an_ended_credential_is_never_taken(cache: Served, clock: Clock) -> None:
    source = Source(clock, timedelta(seconds=-1))
    cache.serve({"r": plan(source)})
    with pytest.raises(CredentialsUnavailable):
        await cache.get("r")
    assert "has ended" in str(cache.states()[0].last_error)


async def test_a_defect_of_the_source_ends_nothing_and_its_text_is_not_told(
    cache: Served, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(clock)
    source.error = RuntimeError("the secret is hunter2")
    cache.serve({"r": plan(source)})
    with pytest.raises(CredentialsUnavailable):
        await cache.get("r")
    assert "hunter2" not in caplog.text + str(cache.states())
    source.error = None
    await until(lambda: cache.states()[0].usable)


async def test_a_credential_without_end_is_kept(cache: Served, clock: Clock) -> None:
    source = Source(clock, None)
    cache.serve({"r": plan(source)})
    first = await cache.get("r")
    clock.moment += timedelta(days=365)
    assert await cache.get("r") is first


async def test_new_plans_take_over_the_tokens_of_equal_roles(cache: Served, clock: Clock) -> None:
    source, again = Source(clock), Source(clock)
    cache.serve({"r": plan(source)})
    first = await cache.get("r")
    cache.serve({"renamed": plan(again)})
    await cache.settle(10)
    assert await cache.get("renamed") is first
    assert again.fetches == 0
    assert [state.role for state in cache.states()] == ["renamed"]


async def test_settling_does_not_wait_for_ever(cache: Served, clock: Clock) -> None:
    source = Source(clock)
    source.gate.clear()
    cache.serve({"r": plan(source)})
    async with asyncio.timeout(10):
        await cache.settle(0.01)
    assert not cache.states()[0].usable


async def test_a_clock_that_jumps_ahead_means_a_fetch_at_once(cache: Served, clock: Clock) -> None:
    """The machine slept or its clock was set: nobody waits for the time at which the token was to be replaced."""
    source = Source(clock)
    cache.serve({"r": plan(source)})
    await cache.get("r")
    clock.moment += timedelta(hours=2)
    async with asyncio.timeout(10):
        credentials = await asyncio.gather(*(cache.get("r") for _ in range(100)))
    assert {credential.access_key_id for credential in credentials} == {"STS.2"}


async def test_an_open_circuit_lets_nobody_wait(cache: Served, clock: Clock) -> None:
    source = Source(clock)
    source.error = FetchFailed("STS is away")
    cache.serve({"r": plan(source)})
    await until(lambda: cache.states()[0].circuit_open)
    source.gate.clear()
    fetches = source.fetches
    await until(lambda: source.fetches > fetches)
    async with asyncio.timeout(1):
        with pytest.raises(CredentialsUnavailable):
            await cache.get("r")
    source.error = None
    source.gate.set()
    await until(lambda: cache.states()[0].usable)
    assert not cache.states()[0].circuit_open


async def test_a_changed_key_goes_on_with_the_old_token_until_it_has_its_own(
    cache: Served, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    old, wrong, right = Source(clock), Source(clock), Source(clock, timedelta(hours=2))
    wrong.error = FetchFailed("STS refused: InvalidAccessKeyId.NotFound", loud=True)
    cache.serve({"r": plan(old, identity="old key", grants="role")})
    first = await cache.get("r")
    cache.serve({"r": plan(wrong, identity="wrong key", grants="role")})
    await until(lambda: cache.states()[0].last_error is not None)
    assert await cache.get("r") is first
    [loud] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "InvalidAccessKeyId" in loud.message
    cache.serve({"r": plan(right, identity="right key", grants="role")})
    await until(lambda: right.fetches == 1 and cache.states()[0].last_error is None)
    async with asyncio.timeout(10):
        while await cache.get("r") is first:
            await asyncio.sleep(0.005)
    assert [refresh.reason for refresh in cache.refreshes if refresh.succeeded] == ["start", "changed"]


async def test_a_role_with_other_rights_takes_no_token_over(cache: Served, clock: Clock) -> None:
    wide, narrow = Source(clock), Source(clock)
    cache.serve({"r": plan(wide, identity="wide")})
    first = await cache.get("r")
    cache.serve({"r": plan(narrow, identity="narrow")})
    assert await cache.get("r") is not first


async def test_who_waits_for_a_role_that_is_taken_away_still_gets_its_token(cache: Served, clock: Clock) -> None:
    source = Source(clock)
    source.gate.clear()
    cache.serve({"r": plan(source)})
    waiting = asyncio.create_task(cache.roles.get("r"))
    await until(lambda: source.fetches == 1)
    cache.serve({})
    source.gate.set()
    assert (await waiting).access_key_id == "STS.1"


async def test_a_role_that_goes_on_is_not_fetched_again(cache: Served, clock: Clock) -> None:
    source, again = Source(clock), Source(clock)
    source.gate.clear()
    cache.serve({"r": plan(source)})
    waiting = asyncio.create_task(cache.roles.get("r"))
    await until(lambda: source.fetches == 1)
    cache.serve({"r": plan(again)})
    source.gate.set()
    assert await waiting is await cache.get("r")
    assert (source.fetches, again.fetches) == (1, 0)


async def test_longer_forms_want_a_longer_token_at_once(cache: Served, clock: Clock) -> None:
    source = Source(clock, timedelta(minutes=20))
    cache.serve({"r": plan(source)})
    await cache.get("r")
    source.life = timedelta(hours=2)
    cache.serve({"r": plan(source, cover=timedelta(hours=1))})
    await until(lambda: source.fetches == 2)
    assert cache.refreshes[-1].reason in ("start", "mandatory")


async def test_a_token_that_ends_sooner_than_the_old_one_is_not_taken(cache: Served, clock: Clock) -> None:
    cover = timedelta(minutes=15)
    source = Source(clock, cover + timedelta(seconds=0.2))
    cache.serve({"r": plan(source, cover)})
    first = await cache.get("r")
    source.life = timedelta(minutes=2)
    await until(lambda: source.fetches > 2)
    assert await cache.get("r") is first
    assert "sooner" in str(cache.states()[0].last_error)


async def test_every_attempt_is_told_with_its_reason(cache: Served, clock: Clock) -> None:
    cover = timedelta(minutes=15)
    source = Source(clock, cover + timedelta(seconds=0.3))
    source.error = FetchFailed("STS is away")
    cache.serve({"r": plan(source, cover)})
    await until(lambda: len(cache.refreshes) >= 2)
    source.error = None
    await until(lambda: any(refresh.reason == "advisory" for refresh in cache.refreshes))
    told = [(refresh.role, refresh.reason, refresh.succeeded) for refresh in cache.refreshes]
    assert told[:2] == [("r", "start", False), ("r", "retry", False)]
    assert ("r", "retry", True) in told
    assert ("r", "advisory", True) in told


async def test_who_still_holds_a_role_that_was_taken_away_is_told_and_does_not_wait(
    cache: Served, clock: Clock
) -> None:
    """An upload that began with the former definitions, and asks only after its role's token has ended."""
    source = Source(clock)
    cache.serve({"r": plan(source)})
    await cache.get("r")
    former = cache.roles
    cache.serve({})
    clock.moment += timedelta(hours=2)
    async with asyncio.timeout(10):
        with pytest.raises(CredentialsUnavailable):
            await former.get("r")


async def test_only_new_roles_are_waited_for(cache: Served, clock: Clock) -> None:
    stuck = Source(clock)
    stuck.gate.clear()
    cache.serve({"stuck": plan(stuck, identity="stuck")})
    cache.serve({"stuck": plan(stuck, identity="stuck"), "new": plan(Source(clock), identity="new")})
    async with asyncio.timeout(10):
        await cache.settle(3600)
    assert [state.usable for state in cache.states()] == [True, False]
