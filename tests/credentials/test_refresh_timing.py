"""Refresh windows and the pacer: when tokens are fetched."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from signer.credentials.fetch_pacer import BURST, FETCHES_PER_SECOND, FetchPacer
from signer.credentials.refresh_windows import RefreshWindows, TokenState
from tests.harness.waiting import deadline

MINUTE = timedelta(minutes=1)


def test_a_token_is_fresh_then_short_then_unusable() -> None:
    windows = RefreshWindows(required_lifetime=15 * MINUTE, min_remaining=MINUTE)
    assert windows.token_state(15 * MINUTE) is TokenState.FRESH
    assert windows.token_state(15 * MINUTE - timedelta(seconds=1)) is TokenState.SHORT
    assert windows.token_state(MINUTE + timedelta(seconds=1)) is TokenState.SHORT
    assert windows.token_state(MINUTE) is TokenState.UNUSABLE


def test_a_token_may_be_as_short_as_its_apps_need() -> None:
    windows = RefreshWindows(required_lifetime=timedelta(seconds=5), min_remaining=MINUTE)
    assert windows.token_state(timedelta(seconds=6)) is TokenState.FRESH
    assert windows.token_state(timedelta(seconds=5)) is TokenState.UNUSABLE


@given(lifetime=st.integers(1, 43200), required_lifetime=st.integers(0, 43200))
def test_a_token_is_refreshed_while_it_is_fresh(lifetime: int, required_lifetime: int) -> None:
    windows = RefreshWindows(required_lifetime=timedelta(seconds=required_lifetime), min_remaining=MINUTE)
    for pick in (min, max):
        seconds = windows.seconds_until_refresh(timedelta(seconds=lifetime), pick)
        assert 0 < seconds <= 60 or seconds <= 0.9 * (lifetime - required_lifetime)
        if lifetime - required_lifetime >= 10:
            assert 0.5 * (lifetime - required_lifetime) <= seconds <= 0.9 * (lifetime - required_lifetime)


def test_roles_fetched_together_are_not_refreshed_together() -> None:
    windows = RefreshWindows(required_lifetime=15 * MINUTE, min_remaining=MINUTE)
    jitter = random.Random(1)
    moments = sorted(windows.seconds_until_refresh(60 * MINUTE, jitter.uniform) for _ in range(200))
    assert moments[-1] - moments[0] > 900


async def test_fetches_are_spread_evenly_and_urgent_ones_go_first() -> None:
    pacer = FetchPacer(per_second=40, burst=2)
    starts: list[tuple[float, bool]] = []

    async def fetch(urgent: bool) -> None:
        await pacer.wait(urgent=urgent)
        starts.append((asyncio.get_running_loop().time(), urgent))

    await asyncio.gather(*(fetch(n >= 20) for n in range(25)))
    moments = [moment for moment, _ in starts]
    assert all(moment - moments[0] >= (number - 1) / 40 - 0.001 for number, moment in enumerate(moments))
    assert [urgent for _, urgent in starts] == [False] * 2 + [True] * 5 + [False] * 18


def test_no_second_has_more_than_nine_fetches() -> None:
    assert FETCHES_PER_SECOND + BURST < 10


async def test_a_cancelled_fetch_uses_no_slot() -> None:
    pacer = FetchPacer(per_second=20, burst=1)
    await pacer.wait(urgent=False)
    gone = asyncio.create_task(pacer.wait(urgent=False))
    stays = asyncio.create_task(pacer.wait(urgent=False))
    await asyncio.sleep(0)
    gone.cancel()
    async with deadline():
        await stays
