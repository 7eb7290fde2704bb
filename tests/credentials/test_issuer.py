"""The issuer of tokens: what happens to fetches that hang when it recovers. The clock is virtual."""

from __future__ import annotations

import asyncio

import pytest

from signer.credentials.issuer import Issuer
from tests.credentials.simulated_roles import now
from tests.harness.virtual_time import run_in_virtual_time


def open_circuit(issuer: Issuer) -> None:
    for role in range(3):
        issuer.record_failure(role, "timed out", lambda: None)
    assert issuer.is_open


def test_a_fetch_that_takes_long_to_cancel_does_not_disturb_the_next_recovery() -> None:
    async def recover_twice() -> None:
        issuer = Issuer(asyncio.get_running_loop().time)

        async def hang() -> None:
            async with issuer.attempt():
                try:
                    await asyncio.sleep(60)
                finally:
                    await asyncio.sleep(5)

        hanging = asyncio.create_task(hang())
        await asyncio.sleep(1)
        for _ in range(2):
            open_circuit(issuer)
            issuer.record_success(started_at=now())
            assert not issuer.is_open
            await asyncio.sleep(1)
        with pytest.raises(TimeoutError):
            await hanging
        assert now() == pytest.approx(6)

    run_in_virtual_time(recover_twice())
