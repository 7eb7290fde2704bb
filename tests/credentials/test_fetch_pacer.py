"""The pacer: in which order and when fetches start. The clock is virtual."""

from __future__ import annotations

import asyncio

import pytest

from signer.credentials.fetch_pacer import FetchPacer
from signer.credentials.issuer import Issuer, Rank, Urgency
from tests.credentials.simulated_roles import now
from tests.harness.virtual_time import run_in_virtual_time

IDLE, RETRIED = (Urgency.IDLE, 0), (Urgency.RETRIED, 0)
IN_USE, REQUESTED = (Urgency.IN_USE, -3), (Urgency.REQUESTED, -3)


async def starts(pacer: FetchPacer, ranks: list[Rank]) -> list[tuple[float, Rank]]:
    """Queue fetches at once, and return when each started and its rank, in the order of their starts."""
    issuer = Issuer(asyncio.get_running_loop().time)
    started: list[tuple[float, Rank]] = []

    async def fetch(rank: Rank) -> None:
        await pacer.wait(pacer.queue(issuer, rank))
        started.append((now(), rank))

    await asyncio.gather(*(fetch(rank) for rank in ranks))
    assert pacer.waiting == 0
    return started


def test_fetches_start_at_even_intervals_and_the_most_urgent_are_first() -> None:
    ranks = [IDLE, IDLE, RETRIED, IN_USE, REQUESTED, (Urgency.REQUESTED, -9)]
    started = run_in_virtual_time(starts(FetchPacer(10), ranks))
    assert [rank for _, rank in started] == [IDLE, (Urgency.REQUESTED, -9), REQUESTED, IN_USE, RETRIED, IDLE]
    assert [at for at, _ in started] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_a_burst_is_for_fetches_that_requests_need() -> None:
    pacer = FetchPacer(1, peak_per_second=10, burst=5)
    started = run_in_virtual_time(starts(pacer, [REQUESTED] * 7 + [RETRIED, IDLE]))
    assert [at for at, _ in started] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 1, 2, 7, 8])


def test_the_start_of_a_fetch_is_estimates() -> None:
    async def foretell() -> None:
        pacer, issuer, other = FetchPacer(10), *(Issuer(asyncio.get_running_loop().time) for _ in range(2))
        pacer.queue(other, REQUESTED)
        for _ in range(5):
            pacer.queue(other, REQUESTED)
        turns = [pacer.queue(issuer, REQUESTED) for _ in range(3)]
        idle = pacer.queue(issuer, IDLE)
        estimates = [pacer.seconds_until_start(issuer, turn.rank, turn) for turn in [*turns, idle]]
        assert estimates == pytest.approx([0.6, 0.7, 0.8, 0.9])
        assert pacer.seconds_until_start(issuer, REQUESTED) == pytest.approx(0.9)
        assert pacer.seconds_until_start(issuer, (Urgency.REQUESTED, -9)) == pytest.approx(0.1)
        pacer.raise_rank(idle, (Urgency.REQUESTED, -9))
        await pacer.wait(idle)
        assert now() == pytest.approx(0.1)

    run_in_virtual_time(foretell())


def test_a_cancelled_fetch_uses_no_slot() -> None:
    async def cancel() -> None:
        pacer, issuer = FetchPacer(1), Issuer(asyncio.get_running_loop().time)
        waits = [asyncio.create_task(pacer.wait(pacer.queue(issuer, IDLE))) for _ in range(3)]
        await asyncio.sleep(0.5)
        waits[1].cancel()
        await waits[2]
        assert now() == pytest.approx(1)
        assert pacer.waiting == 0

    run_in_virtual_time(cancel())


def test_while_a_circuit_is_open_each_role_gets_its_trial() -> None:
    """The most wanted roles may be the broken ones."""

    async def try_in_turn() -> None:
        loop = asyncio.get_running_loop()
        pacer, issuer = FetchPacer(30), Issuer(loop.time)
        for role in "abc":
            issuer.record_failure(role, "refused", lambda: None)
        assert issuer.is_open
        tried: list[str] = []

        async def keep_failing(role: str, rank: Rank) -> None:
            while len(tried) < 9:
                await pacer.wait(pacer.queue(issuer, rank))
                tried.append(role)
                issuer.record_failure(role, "refused", lambda: None)

        roles = {"a": (Urgency.REQUESTED, -20), "b": (Urgency.REQUESTED, -10), "c": IDLE}
        tasks = [asyncio.create_task(keep_failing(role, rank)) for role, rank in roles.items()]
        while len(tried) < 9:
            await asyncio.sleep(1)
        assert tried[:9] == list("abcabcabc")
        assert 4.5 <= now() <= 10
        for task in tasks:
            task.cancel()

    run_in_virtual_time(try_in_turn())
