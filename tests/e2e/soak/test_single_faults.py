"""Each fault of the local cloud alone, by a fast clock: the signer returns a valid form or 503, and recovers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from localcloud.fault_kinds import KINDS
from tests.e2e.soak.faulty_cloud import (
    BLOCKING,
    DEPENDENT_APPS,
    HARMLESS,
    LONGEST_LIFETIME,
    REVOKED,
    TOKEN_OWNERS,
    Fault,
    FaultyCloud,
    faulty_cloud,
)
from tests.e2e.soak.verified_load import Form
from tests.harness.fast_clock import FastClock
from tests.harness.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

FAULT_SECONDS = 75
"""The shortest duration of a fault, by the fast clock: it outlives every token."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clouds(
    clock: FastClock, session: aiohttp.ClientSession, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, FaultyCloud]]:
    """A cloud whose metadata service fails, and one whose STS fails."""
    directory = tmp_path_factory.mktemp("soak")
    async with contextlib.AsyncExitStack() as stack:
        yield {
            server: await stack.enter_async_context(faulty_cloud(session, clock, directory / server))
            for server in DEPENDENT_APPS
        }


def name(fault: Fault) -> str:
    return "-".join(str(value) for value in fault.values())


async def test_every_kind_of_fault_is_tested() -> None:
    assert {fault["kind"] for fault in [*BLOCKING, *HARMLESS, REVOKED]} == set(KINDS)


@pytest.mark.parametrize("fault", [*BLOCKING, *HARMLESS, REVOKED], ids=name)
async def test_a_fault_of_metadata_or_sts(fault: Fault, clouds: dict[str, FaultyCloud]) -> None:
    runs = (_survive(server, fault, cloud) for server, cloud in clouds.items())
    failures = [each for each in await asyncio.gather(*runs, return_exceptions=True) if each is not None]
    if failures:
        raise BaseExceptionGroup(name(fault), failures)


async def _survive(server: str, fault: Fault, cloud: FaultyCloud) -> None:
    load = cloud.load
    load.violations.clear()
    await load.set_faults()
    await cloud.wait_until_accepted()
    load.counts.clear()
    if fault == REVOKED:
        await load.revoke_tokens(server, LONGEST_LIFETIME)
    else:
        await load.set_faults(**{server: fault})
    async with load.running():
        # By the fast clock the SDK's time-outs are short, so a busy machine exceeds them even without a fault.
        # Therefore forms have to be available again and again, but not to every request.
        await cloud.clock.sleep(FAULT_SECONDS)
        blocked = DEPENDENT_APPS[server] if fault in BLOCKING else set()
        await wait_until(lambda: load.violations or all(load.counts[f"{app} unavailable"] for app in blocked))
        await cloud.wait_until_accepted(TOKEN_OWNERS.keys() - blocked)
    await cloud.recover()


@pytest.mark.parametrize("fault", [*BLOCKING, *HARMLESS], ids=name)
async def test_a_form_that_is_signed_during_a_fault_of_oss_is_valid(
    fault: Fault, clouds: dict[str, FaultyCloud]
) -> None:
    load = clouds["sts"].load
    load.violations.clear()

    async def is_accepted() -> bool:
        await load.set_faults(oss=fault)
        forms = [await load.request_form(app) for app in TOKEN_OWNERS]
        await load.set_faults()
        outcomes = {await load.upload(form) for form in forms if isinstance(form, Form)}
        assert not load.violations, (len(load.violations), load.violations[:10])
        return "accepted" in outcomes

    await wait_until(is_accepted)
