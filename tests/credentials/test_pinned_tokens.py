"""A token is kept for a whole period, so that what it signs stays the same while newer tokens arrive. Time is virtual."""

from __future__ import annotations

from datetime import timedelta

import pytest

from signer.credentials.keeper_pool import RoleSet
from tests.credentials.simulated_roles import START, SimulatedRoles, SimulatedSts, simulated_roles, until
from tests.harness.virtual_time import virtual_time

WINDOW, EXPIRES = timedelta(minutes=10), timedelta(minutes=5)
LENGTH = WINDOW + EXPIRES
"""Tokens live for 20 minutes, so that they are replaced several times in a window."""


async def pinned_id(roles: RoleSet, start_minutes: float, length: timedelta = LENGTH) -> str:
    start = START + timedelta(minutes=start_minutes)
    return (await roles.get_for_period("r", start, start + length)).access_key_id


def current_id(roles: RoleSet) -> str | None:
    token = roles.current("r")
    return None if token is None else token.access_key_id


def activate(roles: SimulatedRoles, sts: SimulatedSts | None = None) -> RoleSet:
    roles.activate({"r": sts or SimulatedSts()}, expires=LENGTH)
    return roles.roles


@virtual_time
async def test_one_token_signs_for_the_whole_window_however_often_it_is_replaced() -> None:
    async with simulated_roles() as roles:
        active = activate(roles)
        assert await pinned_id(active, 0) == "STS.1"
        for minute in range(1, 10):
            await until(minute * 60)
            assert await pinned_id(active, 0) == "STS.1"
        assert current_id(active) not in ("STS.1", "STS.2")
        await until(10 * 60)
        assert await pinned_id(active, 10) == current_id(active)


@virtual_time
async def test_the_next_window_begins_with_the_current_token() -> None:
    async with simulated_roles() as roles:
        active = activate(roles)
        assert await pinned_id(active, 0) == "STS.1"
        await until(12 * 60)
        second = await pinned_id(active, 10)
        assert second == current_id(active) != "STS.1"
        await until(19 * 60)
        assert await pinned_id(active, 10) == second != current_id(active)


@virtual_time
async def test_a_token_that_ends_before_the_period_is_not_kept() -> None:
    async with simulated_roles() as roles:
        active = activate(roles)
        too_long = timedelta(minutes=21)
        assert await pinned_id(active, 0, too_long) == "STS.1"
        await until(6 * 60)
        assert await pinned_id(active, 0, too_long) == current_id(active) != "STS.1"


@pytest.mark.parametrize("keep", [False, True])
@virtual_time
async def test_a_rejected_token_is_not_kept(keep: bool) -> None:
    async with simulated_roles() as roles:
        active = activate(roles)
        assert await pinned_id(active, 0) == "STS.1"
        await roles.replace("r", keep=keep)
        assert await pinned_id(active, 0) == "STS.2"


@virtual_time
async def test_a_token_that_was_used_until_its_replacement_is_not_kept_after_it() -> None:
    async with simulated_roles() as roles:
        active = activate(roles)
        await pinned_id(active, 0)
        token = active.current("r")
        assert token is not None
        active.reject("r", token, keep=True)
        assert await pinned_id(active, 0) == "STS.1"
        await until(5)
        assert await pinned_id(active, 0) == "STS.2"


@virtual_time
async def test_a_reload_keeps_the_token_of_a_window() -> None:
    async with simulated_roles() as roles:
        sts = SimulatedSts()
        assert await pinned_id(activate(roles, sts), 0) == "STS.1"
        await until(6 * 60)
        assert await pinned_id(activate(roles, sts), 0) == "STS.1" != current_id(roles.roles)


@virtual_time
async def test_a_removed_role_keeps_no_token() -> None:
    async with simulated_roles() as roles:
        removed = activate(roles)
        await pinned_id(removed, 0)
        await until(6 * 60)
        latest = current_id(removed)
        roles.activate({"other": SimulatedSts()}, expires=LENGTH)
        assert await pinned_id(removed, 0) == latest != "STS.1"


@virtual_time
async def test_few_tokens_are_kept_at_a_time() -> None:
    async with simulated_roles() as roles:
        active = activate(roles)
        for seconds in range(1, 60):
            await pinned_id(active, 0, timedelta(seconds=seconds))
        await until(6 * 60)
        kept = [
            seconds for seconds in range(59, 0, -1) if await pinned_id(active, 0, timedelta(seconds=seconds)) == "STS.1"
        ]
        assert kept == list(range(59, 43, -1))
