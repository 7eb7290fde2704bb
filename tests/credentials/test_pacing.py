"""RefreshWindows, backoff and pacing: when fetches are made."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from signer.credentials.fetch_pacer import AT_ONCE, FETCHES_PER_SECOND, FetchPacer
from signer.credentials.refresh_windows import RefreshWindows, TokenState

MINUTE = timedelta(minutes=1)


def test_a_token_is_fresh_then_short_then_nothing() -> None:
    windows = RefreshWindows(cover=15 * MINUTE, least=MINUTE)
    assert windows.token_state(15 * MINUTE) is TokenState.FRESH
    assert windows.token_state(15 * MINUTE - timedelta(seconds=1)) is TokenState.SHORT
    assert windows.token_state(MINUTE) is TokenState.SHORT
    assert windows.token_state(MINUTE - timedelta(seconds=1)) is TokenState.UNUSABLE
    assert (
        RefreshWindows(cover=timedelta(seconds=5), least=MINUTE).token_state(timedelta(seconds=5)) is TokenState.FRESH
    )


@given(life=st.integers(1, 43200), cover=st.integers(0, 43200))
def test_a_token_is_replaced_while_it_still_covers_its_apps(life: int, cover: int) -> None:
    windows = RefreshWindows(cover=timedelta(seconds=cover), least=MINUTE)
    for pick in (min, max):
        seconds = windows.seconds_until_refresh(timedelta(seconds=life), pick)
        assert 0 < seconds <= 60 or seconds <= 0.9 * (life - cover)
        if life - cover >= 10:
            assert 0.5 * (life - cover) <= seconds <= 0.9 * (life - cover)


def test_roles_fetched_together_do_not_come_back_together() -> None:
    windows = RefreshWindows(cover=15 * MINUTE, least=MINUTE)
    jitter = random.Random(1)
    moments = sorted(windows.seconds_until_refresh(60 * MINUTE, jitter.uniform) for _ in range(200))
    assert moments[-1] - moments[0] > 900


async def test_starts_are_spread_evenly_and_the_urgent_go_first() -> None:
    pacer = FetchPacer(per_second=40, at_once=2)
    starts: list[tuple[float, bool]] = []

    async def fetch(urgent: bool) -> None:
        await pacer.wait(urgent=urgent)
        starts.append((asyncio.get_running_loop().time(), urgent))

    await asyncio.gather(*(fetch(n >= 20) for n in range(25)))
    moments = [moment for moment, _ in starts]
    assert all(moment - moments[0] >= (number - 1) / 40 - 0.001 for number, moment in enumerate(moments))
    assert [urgent for _, urgent in starts] == [False] * 2 + [True] * 5 + [False] * 18


def test_no_second_sees_more_starts_than_sts_would_stand() -> None:
    assert FETCHES_PER_SECOND + AT_ONCE < 10


async def test_one_who_goes_away_takes_no_turn() -> None:
    pacer = FetchPacer(per_second=20, at_once=1)
    await pacer.wait(urgent=False)
    gone = asyncio.create_task(pacer.wait(urgent=False))
    stays = asyncio.create_task(pacer.wait(urgent=False))
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(5):
        await stays
