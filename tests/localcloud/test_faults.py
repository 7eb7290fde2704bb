"""Faults: combined, random, limited to a number of requests; their clocks; their end."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from Tea.exceptions import TeaException

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.waiting import deadline, wait_until
from tests.localcloud.forms import signed_form
from tests.localcloud.sdk import assume

INSTANCE = "/latest/meta-data/instance-id"


async def waiting(cloud: Cloud) -> dict[str, int]:
    async with cloud.session.get(f"{cloud.oss}/-/waiting") as answer:
        found: dict[str, int] = await answer.json()
        return found


async def set_with_seed(cloud: Cloud, seed: int, faults: dict[str, Any]) -> None:
    async with cloud.session.put(f"{cloud.oss}/-/faults", params={"seed": seed}, json=faults) as answer:
        assert answer.status == 200, await answer.text()


async def statuses(cloud: Cloud, count: int, path: str = INSTANCE) -> list[int]:
    found = []
    for _ in range(count):
        async with cloud.session.get(cloud.metadata + path) as answer:
            found.append(answer.status)
    return found


def offset_seconds(date: str) -> float:
    return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()


async def test_every_response_has_the_date_of_its_server(cloud: Cloud) -> None:
    offsets = {"metadata": 900.0, "sts": -700.0, "oss": 86400.0}
    addresses = {"metadata": cloud.metadata + INSTANCE, "sts": cloud.sts, "oss": f"{cloud.oss}/photos"}
    faults: list[dict[str, Any]] = [
        {"kind": "latency", "seconds": 0.01},
        {"kind": "status", "status": 500},
        {"kind": "throttling"},
        {"kind": "malformed"},
        {"kind": "truncated"},
        {"kind": "expired"},
    ]
    for fault in faults:
        clocks = {name: {"kind": "clock", "offset_seconds": offset} for name, offset in offsets.items()}
        await cloud.set_faults(**{name: [fault, clock] for name, clock in clocks.items()})
        for name, address in addresses.items():
            async with cloud.session.get(address) as answer:
                assert abs(offset_seconds(answer.headers["Date"]) - offsets[name]) < 60, (name, fault)


async def test_files_and_errors_have_the_date_too(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    await post_object(session, f"{cloud.oss}/photos", signed_form(), b"x")
    clock = {"kind": "clock", "offset_seconds": 3600}
    await cloud.set_faults(oss=clock, metadata=clock)
    for address, status in (
        (f"{cloud.oss}/photos/a.txt", 200),
        (f"{cloud.oss}/photos/none", 404),
        (f"{cloud.oss}/nobody/none", 404),
        (f"{cloud.metadata}/nothing", 404),
    ):
        async with session.get(address) as answer:
            assert answer.status == status
            assert abs(offset_seconds(answer.headers["Date"]) - 3600) < 60, address
    async with session.put(f"{cloud.metadata}/latest/meta-data/instance-id") as answer:
        assert answer.status == 405
        assert abs(offset_seconds(answer.headers["Date"]) - 3600) < 60
    # On the same connection: requests of tests to the local cloud itself are not responses of the server.
    async with session.get(f"{cloud.metadata}/-/counts") as answer:
        assert abs(offset_seconds(answer.headers["Date"])) < 60
    await cloud.set_faults()
    async with session.get(f"{cloud.oss}/photos/a.txt") as answer:
        assert abs(offset_seconds(answer.headers["Date"])) < 60


async def test_faults_of_one_server_combine(cloud: Cloud) -> None:
    faults = [
        {"kind": "clock", "offset_seconds": 600},
        {"kind": "nearly_expired", "seconds": 30},
        {"kind": "latency", "seconds": 0.2},
        {"kind": "clock", "offset_seconds": 60},
    ]
    await cloud.set_faults(sts=faults)
    before = time.monotonic()
    body = await assume(cloud)
    assert time.monotonic() - before >= 0.2
    left = datetime.fromisoformat(body.credentials.expiration) - datetime.now(UTC)
    assert 630 < left.total_seconds() <= 690
    async with cloud.session.get(f"{cloud.sts}/-/faults") as answer:
        assert await answer.json() == {"sts": faults}


async def test_a_list_of_faults_responds_in_order(cloud: Cloud) -> None:
    await cloud.set_faults(
        metadata=[
            {"kind": "status", "status": 500, "times": 2},
            {"kind": "malformed", "times": 1},
            {"kind": "status", "status": 502, "times": 1},
        ]
    )
    assert await statuses(cloud, 5) == [500, 500, 200, 502, 200]
    await cloud.set_faults(metadata={"kind": "status", "status": 500, "times": 1})
    assert await statuses(cloud, 2) == [500, 200]
    await cloud.set_faults(metadata={"kind": "status", "status": 500, "times": 1})
    assert await statuses(cloud, 2) == [500, 200]


async def test_a_state_fault_applies_to_its_number_of_requests(cloud: Cloud) -> None:
    await cloud.set_faults(sts={"kind": "expired", "times": 1})
    ends = [datetime.fromisoformat((await assume(cloud)).credentials.expiration) for _ in range(2)]
    assert ends[0] < datetime.now(UTC) < ends[1]
    await cloud.set_faults(sts={"kind": "clock", "offset_seconds": 3600, "times": 1})
    with pytest.raises(TeaException) as refused:
        await assume(cloud)
    assert refused.value.code == "InvalidTimeStamp.Expired"
    await assume(cloud)


async def test_the_seed_determines_random_faults(cloud: Cloud) -> None:
    def fault(probability: float) -> dict[str, Any]:
        return {"metadata": {"kind": "status", "status": 500, "probability": probability}}

    rows = []
    for seed in (7, 7, 8):
        await set_with_seed(cloud, seed, fault(0.5))
        rows.append(await statuses(cloud, 64))
    assert rows[0] == rows[1] != rows[2]
    assert 8 < rows[0].count(500) < 56
    for probability, expected in ((0, 200), (1, 500)):
        await set_with_seed(cloud, 7, fault(probability))
        assert set(await statuses(cloud, 16)) == {expected}


async def test_calls_of_other_servers_do_not_change_random_faults(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    fault = {"kind": "status", "status": 500, "probability": 0.5}
    rows = []
    for others in (0, 1):
        await set_with_seed(cloud, 7, {"metadata": fault, "oss": fault})
        row = []
        for _ in range(32):
            for _ in range(others):
                await session.get(f"{cloud.oss}/photos")
            row += await statuses(cloud, 1)
        rows.append(row)
    assert rows[0] == rows[1]


async def test_an_invalid_fault_changes_nothing(cloud: Cloud) -> None:
    wrong: list[Any] = [
        5,
        [5],
        {"kind": ["hang"]},
        {"kind": "hang", "seconds": 1},
        {"kind": "latency", "seconds": "1"},
        {"kind": "latency", "seconds": -1},
        {"kind": "latency", "seconds": True},
        {"kind": "clock", "offset_seconds": 1e300},
        {"kind": "status", "status": 199},
        {"kind": "status", "status": 600},
        {"kind": "status", "status": 500.5},
        {"kind": "hang", "probability": 1.1},
        {"kind": "hang", "probability": None},
        {"kind": "hang", "times": 0},
        {"kind": "hang", "times": 1.5},
        {"kind": "revoked", "times": 1},
        [{"kind": "hang"}, {"kind": "fire"}],
    ]
    await cloud.set_faults(metadata={"kind": "status", "status": 500})
    for fault in wrong:
        for body in ({"metadata": fault}, {"oss": {"kind": "hang"}, "metadata": fault}):
            async with cloud.session.put(f"{cloud.oss}/-/faults", json=body) as answer:
                assert answer.status == 400, fault
                assert (await answer.json())["error"]
    assert await statuses(cloud, 1) == [500]


async def test_a_response_without_a_body_is_truncated_too(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    await cloud.set_faults(oss={"kind": "truncated"})
    with pytest.raises(aiohttp.ClientPayloadError):
        await post_object(session, f"{cloud.oss}/photos", signed_form(), b"x")
    assert [each["key"] for each in await cloud.objects("photos")] == ["a.txt"]


HANG = {"kind": "hang"}
LATENCY = {"kind": "latency", "seconds": 3600}


@pytest.mark.parametrize("fault", [HANG, LATENCY, [HANG, {"kind": "malformed"}]], ids=["hang", "latency", "list"])
async def test_a_delayed_request_is_dropped_when_the_fault_is_removed(fault: Any, cloud: Cloud) -> None:
    after: list[dict[str, Any]] = [{"sts": {"kind": "malformed"}}, {"sts": {"kind": "hang", "times": 9}}, {}]
    for faults in after:
        await cloud.set_faults(sts=fault)
        # A POST, which aiohttp's client does not send again by itself.
        requests = [asyncio.create_task(cloud.session.post(cloud.sts)) for _ in range(20)]

        async def all_wait(count: int = len(requests)) -> bool:
            return (await waiting(cloud))["sts"] == count

        await wait_until(all_wait)
        # Faults of the others change, that of STS stays.
        await cloud.set_faults(sts=fault, oss={"kind": "clock", "offset_seconds": 1})
        await cloud.set_faults(sts=fault)
        assert await all_wait()
        assert not any(request.done() for request in requests)
        await cloud.set_faults(**faults)
        async with deadline():
            answers = await asyncio.gather(*requests, return_exceptions=True)
        assert all(isinstance(answer, aiohttp.ClientError) for answer in answers), answers
        assert not any((await waiting(cloud)).values())
    async with cloud.session.get(f"{cloud.sts}/-/calls") as answer:
        found = [(each["status"], each["fault"]) for each in await answer.json()]
    kind = (fault[0] if isinstance(fault, list) else fault)["kind"]
    assert found == [(None, kind)] * 20 * len(after)


async def test_a_delayed_request_is_dropped_when_the_cloud_stops(session: aiohttp.ClientSession) -> None:
    async with local_cloud(session) as cloud:
        await cloud.set_faults(sts=HANG)
        request = asyncio.create_task(session.post(cloud.sts))

        async def it_waits() -> bool:
            return (await waiting(cloud))["sts"] == 1

        await wait_until(it_waits)
    with pytest.raises(aiohttp.ClientError):
        async with deadline():
            await request


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("ended_by", ["caller", "faults"])
async def test_delayed_requests_leave_nothing_behind(ended_by: str, cloud: Cloud) -> None:
    def open_files() -> int:
        return len(list(Path(f"/proc/{cloud.process.pid}/fd").iterdir()))

    await waiting(cloud)
    before = open_files()
    await cloud.set_faults(sts=HANG)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as callers:
        requests = [asyncio.create_task(callers.post(cloud.sts)) for _ in range(100)]

        async def all_wait() -> bool:
            return (await waiting(cloud))["sts"] == len(requests)

        await wait_until(all_wait)
        assert open_files() >= before + len(requests)
        if ended_by == "caller":
            for request in requests:
                request.cancel()
        else:
            await cloud.set_faults()
        await asyncio.gather(*requests, return_exceptions=True)

        async def nothing_is_left() -> bool:
            return not any((await waiting(cloud)).values()) and open_files() <= before

        await wait_until(nothing_is_left)
