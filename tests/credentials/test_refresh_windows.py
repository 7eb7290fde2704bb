"""Refresh windows: when a token is refreshed."""

from __future__ import annotations

import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from signer.credentials.refresh_windows import RefreshWindows, TokenState

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
