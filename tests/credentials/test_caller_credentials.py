"""The credentials of callers: cached, fetched once, renewed early, at a pace of their own. The clocks are virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from signer.credentials.caller_credentials import MAX_WAIT_SECONDS, CallerCredentials, CallerRequest
from signer.credentials.fair_pacer import FairPacer
from signer.credentials.sources.credential_source import FetchFailed
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential
from tests.harness.virtual_time import virtual_time

LIFETIME = timedelta(minutes=15)
START = datetime(2026, 1, 1, tzinfo=UTC)


def now() -> float:
    return asyncio.get_running_loop().time()


def wall_clock() -> float:
    return START.timestamp() + now()


@dataclass
class Sts:
    """Issues credentials after `seconds`, or fails."""

    seconds: float = 0.1
    error: FetchFailed | None = None
    lifetime: timedelta = LIFETIME
    calls: list[tuple[float, str]] = field(default_factory=list)
    """When each call started, and for whom."""
    issued: int = 0

    def source_of(self, caller: str) -> Callable[[], Source]:
        return lambda: Source(self, caller)

    def request(self, caller: str, app: str = "a") -> CallerRequest:
        return CallerRequest(app, (app, caller), LIFETIME, self.source_of(f"{app}/{caller}"))


@dataclass
class Source:
    sts: Sts
    caller: str

    async def fetch(self) -> Credential:
        self.sts.calls.append((now(), self.caller))
        await asyncio.sleep(self.sts.seconds)
        if self.sts.error is not None:
            raise self.sts.error
        self.sts.issued += 1
        expiration = START + timedelta(seconds=now()) + self.sts.lifetime
        return Credential(f"STS.{self.sts.issued}", "secret", "token", expiration)


def credentials(per_second: float = 100, **options: Any) -> CallerCredentials:
    return CallerCredentials(per_second, wall_clock=wall_clock, **options)


async def outcome(getting: Any) -> str | float:
    """Return the AccessKey id, or the seconds of Retry-After."""
    try:
        credential: Credential = await getting
    except CredentialsUnavailable as problem:
        assert problem.retry_after_seconds is not None
        return problem.retry_after_seconds
    return credential.access_key_id


@virtual_time
async def test_requests_of_one_caller_share_a_fetch_and_then_its_credential() -> None:
    sts, issued = Sts(), credentials()
    first = await asyncio.gather(*(outcome(issued.get(sts.request("ann"))) for _ in range(50)))
    assert {*first, await outcome(issued.get(sts.request("ann")))} == {"STS.1"}
    assert await outcome(issued.get(sts.request("bob"))) == "STS.2"
    assert [caller for _, caller in sts.calls] == ["a/ann", "a/bob"]


@virtual_time
async def test_a_credential_is_renewed_below_half_of_its_lifetime() -> None:
    sts, issued = Sts(seconds=0), credentials()
    assert await outcome(issued.get(sts.request("ann"))) == "STS.1"
    await asyncio.sleep(7.4 * 60)
    assert await outcome(issued.get(sts.request("ann"))) == "STS.1"
    await asyncio.sleep(0.2 * 60)
    assert await outcome(issued.get(sts.request("ann"))) == "STS.2"


@virtual_time
async def test_a_credential_that_lives_until_the_requested_time_is_not_renewed() -> None:
    sts, issued = Sts(seconds=0), credentials()
    await issued.get(sts.request("ann"))
    await asyncio.sleep(9 * 60)
    assert await outcome(issued.get(replace(sts.request("ann"), until=START + LIFETIME))) == "STS.1"
    assert await outcome(issued.get(replace(sts.request("ann"), until=START + LIFETIME * 1.1))) == "STS.2"


@virtual_time
async def test_an_earlier_credential_is_used_while_sts_fails_until_five_minutes_before_its_end() -> None:
    sts, issued = Sts(seconds=0), credentials()
    await issued.get(sts.request("ann"))
    sts.error = FetchFailed("no")
    await asyncio.sleep(9.9 * 60)
    assert await outcome(issued.get(sts.request("ann"))) == "STS.1"
    await asyncio.sleep(0.1 * 60)
    assert isinstance(await outcome(issued.get(sts.request("ann"))), int)


@virtual_time
async def test_a_credential_that_ends_within_five_minutes_is_not_returned() -> None:
    sts = Sts(lifetime=timedelta(minutes=5))
    assert isinstance(await outcome(credentials().get(sts.request("ann"))), int)


@virtual_time
async def test_a_request_waits_for_seconds_at_most_and_the_next_one_finds_the_credential() -> None:
    sts, issued = Sts(seconds=5), credentials()
    assert isinstance(await outcome(issued.get(sts.request("ann"))), int)
    assert now() == pytest.approx(MAX_WAIT_SECONDS)
    await asyncio.sleep(2)
    assert await outcome(issued.get(sts.request("ann"))) == "STS.1"
    assert len(sts.calls) == 1


@virtual_time
async def test_a_cancelled_request_does_not_end_the_fetch_of_the_others() -> None:
    sts, issued = Sts(), credentials()
    gone, other = (asyncio.create_task(outcome(issued.get(sts.request("ann")))) for _ in range(2))
    await asyncio.sleep(0.05)
    gone.cancel()
    assert await other == "STS.1"


@virtual_time
async def test_a_crowd_is_fetched_for_at_the_pace_and_beyond_it_refused_with_the_time_of_a_retry() -> None:
    sts, requests, fetches = Sts(), [], []
    issued = credentials(
        8,
        on_request=lambda app, result: requests.append((app, str(result))),
        on_fetch=lambda app, succeeded: fetches.append((app, succeeded)),
    )
    waiting = [asyncio.create_task(outcome(issued.get(sts.request(f"caller-{number}")))) for number in range(1000)]
    await asyncio.sleep(0)
    assert issued.waiting == 20
    outcomes = await asyncio.gather(*waiting)
    refusals = [each for each in outcomes if isinstance(each, int)]
    assert (len(refusals), set(refusals)) == (979, {3})
    starts = [at for at, _ in sts.calls]
    assert starts == pytest.approx([number / 8 for number in range(21)])
    assert (issued.waiting, issued.cached) == (0, 21)
    assert (requests.count(("a", "issued")), requests.count(("a", "refused"))) == (21, 979)
    assert fetches == [("a", True)] * 21


@virtual_time
async def test_a_crowd_of_one_app_delays_another_app_by_one_fetch() -> None:
    sts, issued = Sts(), credentials(10)
    crowd = [asyncio.create_task(outcome(issued.get(sts.request(f"caller-{number}")))) for number in range(1000)]
    await asyncio.sleep(0)
    assert isinstance(await issued.get(sts.request("ann", "other")), Credential)
    # One fetch of the crowd before it, and its own.
    assert now() == pytest.approx(0.3)
    await asyncio.gather(*crowd)


@virtual_time
async def test_an_app_whose_sts_hangs_leaves_the_pace_to_others() -> None:
    hung, sts, issued = Sts(seconds=1000), Sts(), credentials(100)
    crowd = [asyncio.create_task(outcome(issued.get(hung.request(f"caller-{number}")))) for number in range(100)]
    await asyncio.sleep(1)
    assert len(hung.calls) == 8
    begun = now()
    assert isinstance(await issued.get(sts.request("ann", "other")), Credential)
    assert now() - begun < 0.2
    await issued.close()
    assert {type(each) for each in await asyncio.gather(*crowd)} == {int}


@virtual_time
async def test_after_failures_one_fetch_is_tried_at_a_time_until_sts_works() -> None:
    sts, issued = Sts(seconds=0, error=FetchFailed("no", needs_operator=True)), credentials()
    for number in range(20):
        assert isinstance(await outcome(issued.get(sts.request(f"caller-{number}"))), int)
    assert len(sts.calls) == 3
    other = Sts(seconds=0)
    assert await outcome(issued.get(other.request("ann", "other"))) == "STS.1"
    sts.error = None
    await asyncio.sleep(10)
    for number in range(20):
        assert isinstance(await outcome(issued.get(sts.request(f"caller-{number}"))), str)


@virtual_time
async def test_the_least_recently_used_credential_is_dropped_from_a_full_cache() -> None:
    sts, issued = Sts(seconds=0), credentials(1e6, max_credentials=3)
    for caller in ("ann", "bob", "eve", "ann", "joe"):
        await issued.get(sts.request(caller))
    assert issued.cached == 3
    assert await outcome(issued.get(sts.request("ann"))) == "STS.1"
    assert await outcome(issued.get(sts.request("bob"))) == "STS.5"


@virtual_time
async def test_a_cancelled_turn_gives_its_place_to_the_next_one() -> None:
    pacer, started = FairPacer(1), []

    async def fetch(name: str) -> None:
        async with pacer.queue("lane"):
            started.append((name, now()))

    first, cancelled, last = (asyncio.create_task(fetch(name)) for name in ("first", "cancelled", "last"))
    await asyncio.sleep(0)
    assert pacer.seconds_until_start("lane") == pytest.approx(3)
    cancelled.cancel()
    await asyncio.gather(first, cancelled, last, return_exceptions=True)
    assert started == [("first", 0), ("last", 1)]
    assert pacer.waiting == 0
