"""`/-/calls`: every call of a service, with its time, subject and result."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from Tea.exceptions import TeaException

from tests.harness.local_cloud import Cloud
from tests.harness.oss_upload import post_object
from tests.harness.waiting import wait_until
from tests.localcloud.forms import Key, signed_form
from tests.localcloud.sdk import ROLE, assume

CREDENTIALS = "/latest/meta-data/ram/security-credentials/"


async def calls(cloud: Cloud, action: str | None = None) -> list[dict[str, Any]]:
    query = {} if action is None else {"action": action}
    async with cloud.session.get(f"{cloud.metadata}/-/calls", params=query) as answer:
        found: list[dict[str, Any]] = await answer.json()
        return found


def without_time(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(each["server"], each["action"], each["who"], each["status"], each.get("fault")) for each in found]


async def test_calls_of_all_services_are_recorded(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    before = time.time()
    await assume(cloud)
    with pytest.raises(TeaException):
        await assume(cloud, Key(secret="wrong"))
    for path in ("/latest/api/token", CREDENTIALS, f"{CREDENTIALS}oss-uploader", f"{CREDENTIALS}nobody", "/x"):
        method = "PUT" if path.endswith("token") else "GET"
        headers = {"X-aliyun-ecs-metadata-token-ttl-seconds": "60"}
        await session.request(method, cloud.metadata + path, headers=headers)
    form = signed_form(fields={"key": "p/${filename}"})
    await post_object(session, f"{cloud.oss}/photos", form, b"x", "猫.jpg")
    await post_object(session, f"{cloud.oss}/photos", {**form, "x-oss-signature": "0"}, b"x", "b.jpg")
    await session.get(f"{cloud.oss}/photos/p/猫.jpg")
    await session.get(f"{cloud.oss}/photos", params={"list-type": "2"})
    await session.patch(f"{cloud.oss}/photos/p/猫.jpg")
    found = await calls(cloud)
    assert without_time(found) == [
        ("sts", "AssumeRole", ROLE, 200, None),
        ("sts", "AssumeRole", ROLE, 400, None),
        ("metadata", "token", "", 200, None),
        ("metadata", "role", "", 200, None),
        ("metadata", "credentials", "oss-uploader", 200, None),
        ("metadata", "credentials", "nobody", 404, None),
        ("metadata", "", "", 404, None),
        ("oss", "PostObject", "p/猫.jpg", 204, None),
        ("oss", "PostObject", "p/b.jpg", 403, None),
        ("oss", "GetObject", "p/猫.jpg", 200, None),
        ("oss", "ListObjectsV2", "", 200, None),
        ("oss", "", "p/猫.jpg", 405, None),
    ]
    times = [each["at"] for each in found]
    assert times == sorted(times)
    # The two processes read the same clock, but for a millisecond of rounding.
    assert before - 0.01 <= times[0] <= times[-1] <= time.time() + 0.01
    assert (await cloud.counts())["sts.AssumeRole"] == 2


async def test_calls_are_filtered_and_cleared(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    await assume(cloud)
    await session.get(cloud.metadata + CREDENTIALS)
    assert [each["server"] for each in await calls(cloud, "role")] == ["metadata"]
    assert [each["server"] for each in await calls(cloud, "AssumeRole")] == ["sts"]
    assert await calls(cloud, "nothing") == []
    async with session.delete(f"{cloud.sts}/-/calls") as answer:
        assert answer.status == 200
    assert await calls(cloud) == []
    assert (await cloud.counts())["sts.AssumeRole"] == 1
    await assume(cloud)
    assert len(await calls(cloud)) == 1


async def test_a_call_that_a_fault_ended_names_the_fault(cloud: Cloud) -> None:
    answered: list[tuple[dict[str, Any], int | None]] = [
        ({"kind": "status", "status": 503}, 503),
        ({"kind": "throttling"}, 400),
        ({"kind": "malformed"}, 200),
        ({"kind": "truncated"}, 200),
        ({"kind": "reset"}, None),
    ]
    for fault, _ in answered:
        await cloud.set_faults(sts=fault)
        with pytest.raises(TeaException):
            await assume(cloud)
    await cloud.set_faults()
    await assume(cloud)
    assert without_time(await calls(cloud)) == [
        *(("sts", "AssumeRole", ROLE, status, fault["kind"]) for fault, status in answered),
        ("sts", "AssumeRole", ROLE, 200, None),
    ]


async def test_a_fault_that_only_changes_the_response_is_not_named(cloud: Cloud) -> None:
    await cloud.set_faults(sts=[{"kind": "latency", "seconds": 0.01}, {"kind": "expired"}])
    await assume(cloud)
    assert without_time(await calls(cloud)) == [("sts", "AssumeRole", ROLE, 200, None)]


async def test_a_disconnected_client_is_recorded(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    await cloud.set_faults(metadata={"kind": "hang"})
    request = asyncio.create_task(session.get(cloud.metadata + CREDENTIALS))

    async def is_waiting() -> bool:
        async with session.get(f"{cloud.oss}/-/waiting") as response:
            return bool((await response.json())["metadata"])

    await wait_until(is_waiting)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    assert without_time(await wait_until(lambda: calls(cloud))) == [("metadata", "role", "", None, "hang")]
