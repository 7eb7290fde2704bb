"""Thousands of roles: which are fetched first, at what pace, and what requests see meanwhile. The clock is virtual."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from signer.credentials.keeper import MAX_WAIT_SECONDS
from tests.credentials.simulated_roles import (
    FORBIDDEN,
    TOKEN_LIFETIME,
    UNREACHABLE,
    Answer,
    SimulatedRoles,
    SimulatedSts,
    names,
    now,
    simulated_roles,
    until,
)
from tests.harness.virtual_time import virtual_time

LIFETIME_SECONDS = TOKEN_LIFETIME.total_seconds()


@pytest.fixture(autouse=True)
def _no_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of failed fetches would be kept."""
    caplog.set_level(logging.CRITICAL, "oss_signer")


@asynccontextmanager
async def demand(
    roles: SimulatedRoles, wanted: list[str], *, pause_seconds: float = 1.0
) -> AsyncIterator[dict[str, list[Answer]]]:
    """Request some roles again and again, and yield the answers of each."""
    answers: dict[str, list[Answer]] = {role: [] for role in wanted}

    async def keep_requesting(role: str) -> None:
        while True:
            answers[role].append(await roles.request(role))
            await asyncio.sleep(pause_seconds)

    tasks = [asyncio.create_task(keep_requesting(role)) for role in wanted]
    try:
        yield answers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@virtual_time
async def test_a_cold_role_is_fetched_before_those_that_no_request_needs() -> None:
    sts = SimulatedSts()
    async with simulated_roles() as roles:
        roles.activate(dict.fromkeys(names(600), sts))
        await until(1)
        answer = await roles.request("r599")
        assert answer.retry_after_seconds is None
        assert answer.waited_seconds < 0.2
        await until(25)
        assert len(roles.usable()) == 600
        assert sts.max_in_a_second() <= 30


@pytest.mark.parametrize(("workers", "per_second"), [(1, 30), (2, 15), (4, 7.5)])
def test_the_workers_of_a_machine_share_its_pace(workers: int, per_second: float) -> None:
    @virtual_time
    async def fetch_without_demand() -> None:
        sts = SimulatedSts()
        async with simulated_roles(workers=workers) as roles:
            roles.activate(dict.fromkeys(names(1000), sts))
            await until(20)
            assert len(sts.calls) == pytest.approx(20 * per_second, rel=0.05)

    fetch_without_demand()


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_a_hundred_roles_in_demand_are_fetched_faster_than_the_share_of_a_worker(workers: int) -> None:
    """All workers together stay below what STS allows the account."""

    @virtual_time
    async def request_all() -> None:
        sts = SimulatedSts()
        async with simulated_roles(workers=workers) as roles:
            roles.activate(dict.fromkeys(names(400), sts))
            while not set(names(100)) <= roles.usable():
                await asyncio.gather(*(roles.request(role) for role in names(100)))
            assert sts.max_in_a_second() <= 100 / workers + 1
            if workers <= 4:
                assert now() < 5
            await until(60)
            in_the_last_ten = sum(at >= 50 for at, _ in sts.calls)
            assert in_the_last_ten <= 10 * 30 / workers + 1

    request_all()


@virtual_time
async def test_the_most_wanted_roles_are_fetched_first() -> None:
    sts = SimulatedSts()
    async with simulated_roles() as roles:
        roles.activate(dict.fromkeys(names(200), sts))
        requests = [asyncio.create_task(roles.request(role)) for role in names(200) for _ in range(2)]
        requests += [asyncio.create_task(roles.request("r150")) for _ in range(1000)]
        requests += [asyncio.create_task(roles.request("r160")) for _ in range(100)]
        await asyncio.gather(*requests)
        assert sts.roles.index("r150") < sts.roles.index("r160") < 5


@virtual_time
async def test_no_request_waits_longer_than_three_seconds_and_retry_after_is_true() -> None:
    """400 roles that are requested at once need 13 s. Each client repeats its request after Retry-After."""
    sts = SimulatedSts()
    async with simulated_roles() as roles:
        roles.activate(dict.fromkeys(names(400), sts))

        async def client(role: str) -> list[Answer]:
            answers = [await roles.request(role)]
            while (seconds := answers[-1].retry_after_seconds) is not None:
                await asyncio.sleep(seconds)
                answers.append(await roles.request(role))
            return answers

        every = await asyncio.gather(*(client(role) for role in names(400)))
    assert max(answer.waited_seconds for answers in every for answer in answers) <= MAX_WAIT_SECONDS
    assert max(len(answers) for answers in every) == 2
    assert {answers[0].retry_after_seconds for answers in every} >= {None, 2, 5, 10}
    assert sts.max_in_a_second() <= 30


@virtual_time
async def test_a_request_during_a_slow_fetch_gets_the_time_of_its_deadline() -> None:
    sts = SimulatedSts(latency_seconds=8)
    async with simulated_roles() as roles:
        roles.activate({"r": sts})
        answer = await roles.request("r")
        assert (answer.waited_seconds, answer.retry_after_seconds) == (3, 7)
        await asyncio.sleep(7)
        assert (await roles.request("r")).retry_after_seconds is None
        assert len(sts.calls) == 1


@virtual_time
async def test_after_an_outage_the_roles_in_demand_recover_first() -> None:
    """The tokens of 400 roles end during an outage; 100 roles are in demand."""
    sts = SimulatedSts()
    async with simulated_roles() as roles:
        roles.activate(dict.fromkeys(names(400), sts))
        await until(60)
        wanted = names(400)[::4]
        sts.error = UNREACHABLE
        await until(2 * LIFETIME_SECONDS)
        assert roles.usable() == set()
        before = len(sts.calls)
        async with demand(roles, wanted) as answers:
            await until(2 * LIFETIME_SECONDS + 60)
            assert len(sts.calls) - before < 200
            assert all(answer.retry_after_seconds for each in answers.values() for answer in each)
            sts.error = None
            recovery, calls = now(), len(sts.calls)
            await until(recovery + 5)
            assert set(wanted) <= roles.usable()
            in_demand_first = [role for _, role in sts.calls[calls : calls + 100]]
            assert len(set(in_demand_first) & set(wanted)) >= 98
            await until(recovery + 16)
            assert len(roles.usable()) == 400
            assert sts.max_in_a_second() <= 30


@pytest.mark.parametrize("outage", ["refuses", "hangs"])
def test_an_outage_costs_about_one_call_a_second(outage: str) -> None:
    @virtual_time
    async def break_down() -> None:
        sts = SimulatedSts(error=UNREACHABLE if outage == "refuses" else None, hangs=outage == "hangs")
        async with simulated_roles() as roles:
            roles.activate(dict.fromkeys(names(400), sts))
            async with demand(roles, names(100)):
                await until(100)
                before = len(sts.calls)
                await until(200)
                assert 95 <= len(sts.calls) - before <= 210

    break_down()


@virtual_time
async def test_a_hanging_fetch_does_not_outlast_the_outage() -> None:
    """Connections of the outage may hang until their deadline; the first response starts their fetches again."""
    sts = SimulatedSts(hangs=True)
    async with simulated_roles() as roles:
        roles.activate(dict.fromkeys(names(100), sts))
        async with demand(roles, names(100)):
            await until(60)
            sts.hangs = False
            await until(65)
            assert len(roles.usable()) == 100


@virtual_time
async def test_an_outage_of_one_issuer_delays_no_role_of_another() -> None:
    broken, healthy = SimulatedSts(error=UNREACHABLE), SimulatedSts()
    async with simulated_roles() as roles:
        roles.activate(dict.fromkeys(names(400, "broken"), broken) | dict.fromkeys(names(100, "healthy"), healthy))
        async with demand(roles, names(100, "broken") + names(20, "healthy"), pause_seconds=10) as answers:
            await until(LIFETIME_SECONDS)
    for role in names(20, "healthy"):
        assert all(answer.retry_after_seconds is None for answer in answers[role]), role
        assert sum(answer.waited_seconds > 0 for answer in answers[role]) == 1
    assert {answer.retry_after_seconds is None for answer in answers["broken7"]} == {False}


@virtual_time
async def test_broken_roles_delay_no_healthy_role_of_the_same_issuer() -> None:
    """STS rejects 40 roles that are requested all the time; the others are new, in use or requested late."""
    sts = SimulatedSts(errors=dict.fromkeys(names(40, "broken"), FORBIDDEN))
    async with simulated_roles(machine_per_second=4) as roles:
        roles.activate(dict.fromkeys(names(40, "broken") + names(20, "healthy"), sts))
        async with demand(roles, names(40, "broken"), pause_seconds=3):
            await until(30)
            async with demand(roles, names(10, "healthy"), pause_seconds=10) as answers:
                await until(2 * LIFETIME_SECONDS)
            late = await roles.request("healthy19")
    assert late.retry_after_seconds is None
    for role in names(10, "healthy"):
        assert all(answer.retry_after_seconds is None for answer in answers[role]), role
        assert sum(answer.waited_seconds > 0 for answer in answers[role]) == 1, "only for its first token"
    assert sts.max_in_a_second() <= 4


@virtual_time
async def test_two_roles_whose_fetches_time_out_do_not_open_the_circuit_of_their_issuer() -> None:
    sts = SimulatedSts(errors={"a": UNREACHABLE, "b": UNREACHABLE})
    async with simulated_roles() as roles:
        roles.activate(dict.fromkeys(["a", "b", "c"], sts))
        async with demand(roles, ["a", "b", "c"], pause_seconds=5) as answers:
            await until(LIFETIME_SECONDS)
            assert all(answer.retry_after_seconds is None for answer in answers["c"])
            roles.activate(dict.fromkeys(["a", "b", "c", "new"], sts))
            answer = await roles.request("new")
            assert answer.retry_after_seconds is None
            assert answer.waited_seconds < 0.3


@virtual_time
async def test_tokens_in_use_are_refreshed_before_idle_ones_when_the_pace_does_not_suffice() -> None:
    """240 tokens can be fetched in a lifetime, and there are 400 roles: the 20 in use always have fresh tokens."""
    sts = SimulatedSts()
    async with simulated_roles(machine_per_second=0.2) as roles:
        roles.activate(dict.fromkeys(names(400), sts))
        used = names(400)[::20]
        async with demand(roles, used, pause_seconds=20) as answers:
            await until(3 * LIFETIME_SECONDS)
            states = {state.role: state for state in roles.roles.states()}
    assert {states[role].token_state for role in used} == {"fresh"}
    assert all(answer.retry_after_seconds is None for role in used for answer in answers[role][20:])
    assert any(state.is_pending for state in states.values())


@virtual_time
async def test_an_unused_token_is_still_refreshed_in_time() -> None:
    sts = SimulatedSts()
    async with simulated_roles() as roles:
        roles.activate(dict.fromkeys(names(600), sts))
        await until(60)
        for half_lifetimes in range(1, 10):
            await until(half_lifetimes * LIFETIME_SECONDS / 2)
            assert len(roles.usable()) == 600


@virtual_time
async def test_a_role_is_pending_until_its_first_fetch_fails() -> None:
    sts = SimulatedSts(error=FORBIDDEN)
    async with simulated_roles(machine_per_second=1) as roles:
        roles.activate(dict.fromkeys(names(10), sts))
        assert [state.is_pending for state in roles.roles.states()] == [True] * 10
        await until(3.5)
        assert [state.is_pending for state in roles.roles.states()] == [False] * 4 + [True] * 6


@virtual_time
async def test_a_request_hastens_the_retry_of_a_rarely_used_role() -> None:
    sts = SimulatedSts(error=FORBIDDEN)
    async with simulated_roles() as roles:
        roles.activate({"r": sts})
        await until(LIFETIME_SECONDS)
        failed_at = sts.calls[-1][0] + sts.latency_seconds
        sts.error = None
        answer = await roles.request("r")
        assert answer.waited_seconds == 0
        assert answer.retry_after_seconds is not None
        # Both the time of the fetch and the rounding add up to a second.
        assert answer.retry_after_seconds <= max(1, failed_at + 4 - now()) + 2
        await asyncio.sleep(answer.retry_after_seconds)
        assert await roles.request("r") == Answer(0.0, None)


@virtual_time
async def test_a_removed_role_uses_no_fetch() -> None:
    sts = SimulatedSts()
    async with simulated_roles(machine_per_second=1) as roles:
        roles.activate(dict.fromkeys(names(50), sts))
        await until(2.5)
        roles.activate({"r49": sts})
        await until(10)
        assert sts.roles == ["r0", "r1", "r2", "r49"]
        assert roles.pacer.waiting == 0


@virtual_time
async def test_a_role_that_was_rejected_once_does_not_wait_for_those_that_no_request_needs() -> None:
    """Its permission has been granted since."""
    sts = SimulatedSts(errors={"r": FORBIDDEN})
    async with simulated_roles() as roles:
        roles.activate(dict.fromkeys([*names(3000, "idle"), "r"], sts))
        async with demand(roles, ["r"]) as answers:
            await until(1)
            sts.errors.clear()
            await until(10)
            assert answers["r"][-1] == Answer(0.0, None)
            assert len(roles.usable()) < 400
