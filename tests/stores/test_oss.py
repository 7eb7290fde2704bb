"""`oss://`: read with the instance's role, by V4 header signatures, off the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.signer import signer
from tests.harness.waiting import wait_until
from tests.stores.places import OssPlace
from tests.stores.processes import definitions, serves, why_not


@pytest.fixture
async def place(session: aiohttp.ClientSession) -> AsyncIterator[OssPlace]:
    async with local_cloud(session, "--bucket", "config=cn-hangzhou") as cloud:
        yield OssPlace(cloud)


async def calls(cloud: Cloud, action: str) -> list[int | None]:
    """The status of each such call."""
    async with cloud.session.get(f"{cloud.oss}/-/calls", params={"action": action}) as answer:
        return [each["status"] for each in await answer.json()]


async def test_a_token_that_ends_is_replaced(session: aiohttp.ClientSession) -> None:
    async with local_cloud(session, "--bucket", "config=cn-hangzhou", "--token-seconds", "2") as cloud:
        place = OssPlace(cloud)
        await place.put(definitions("a"))
        async with signer(session, place.url) as running:
            before = (await cloud.counts())["metadata.credentials"]

            async def replaced() -> bool:
                return (await cloud.counts())["metadata.credentials"] >= before + 2

            await wait_until(replaced)
            await place.put(definitions("b"))
            await wait_until(lambda: serves(running, "b"))
        assert set(await calls(cloud, "GetObject")) == {200}


async def test_the_metadata_service_is_asked_once_a_token(place: OssPlace, session: aiohttp.ClientSession) -> None:
    await place.put(definitions("a"))
    async with signer(session, place.url) as running:

        async def looked_twice() -> bool:
            return (await place.cloud.counts())["oss.GetObject"] >= 3

        await wait_until(looked_twice)
        assert (await place.cloud.counts())["metadata.credentials"] == 1
        await place.cloud.set_faults(metadata={"kind": "status", "status": 500})
        await place.put(definitions("b"))
        await wait_until(lambda: serves(running, "b"))


async def test_a_deleted_object_changes_nothing(place: OssPlace, session: aiohttp.ClientSession) -> None:
    await place.put(definitions("a"))
    async with signer(session, place.url) as running:
        await place.delete()
        assert (await running.reload())[0] == 503
        assert str((await running.last_reload())["error"]).endswith("no such bucket or object (404); check both names")
        assert await serves(running, "a")


async def test_a_slow_oss_holds_up_nobody(place: OssPlace, session: aiohttp.ClientSession) -> None:
    await place.put(definitions("a"))
    async with signer(session, place.url) as running:
        await place.cloud.set_faults(oss={"kind": "hang"})
        asked = asyncio.create_task(running.reload())
        slowest = 0.0
        while not asked.done():
            began = time.monotonic()
            assert await serves(running, "a")
            slowest = max(slowest, time.monotonic() - began)
        assert (await asked)[0] == 503
        assert slowest < 5
        assert str((await running.last_reload())["error"]).startswith("oss://config/配置/signer.yaml: ")


async def test_each_failure_has_its_words(place: OssPlace) -> None:
    await place.put(definitions("a"))
    where = "oss://config/配置/signer.yaml"
    right = place.url
    assert await why_not(right) is None
    assert await why_not(right.replace("配置", "%E9%85%8D%E7%BD%AE")) is None
    for url, said in (
        (
            right.replace("signer.yaml", "other.yaml"),
            "oss://config/配置/other.yaml: no such bucket or object (404); check both names",
        ),
        (
            right.replace("cn-hangzhou", "cn-beijing"),
            f"{where}: OSS rejected the request (400 InvalidArgument, EC 0002-00000226)",
        ),
        (right.replace("metadata=", "metadata=http://127.0.0.1:1/&x="), "unknown option 'x'; use endpoint, "),
        (
            right.replace("region=cn-hangzhou", ""),
            f"--config {where}: incomplete; write oss://BUCKET/KEY?region=cn-hangzhou",
        ),
        (
            "oss://config?region=cn-hangzhou",
            "--config oss://config: incomplete; write oss://BUCKET/KEY?region=cn-hangzhou",
        ),
        (
            right.replace("//config", "//LTAI:secret@config"),
            f"--config {where}: an AccessKey and a fragment (#) are not allowed",
        ),
        (f"{right}&role_name=nobody", f"{where}: the metadata service has no such role"),
    ):
        told = await why_not(url)
        assert told is not None, url
        assert said in told
    for faults, said in (
        (
            {"oss": {"kind": "clock", "offset_seconds": 1200}},
            "OSS rejected the request (403 RequestTimeTooSkewed, EC 0002-00000504)",
        ),
        ({"oss": {"kind": "status", "status": 502}}, "OSS rejected the request (502 BadErrorResponse)"),
        ({"metadata": {"kind": "reset"}}, "the metadata service"),
    ):
        await place.cloud.set_faults(**faults)
        told = await why_not(right)
        assert told is not None, faults
        assert told.startswith(where)
        assert said in told


async def test_a_large_object_is_not_read(place: OssPlace) -> None:
    await place.put("#" * (17 * 2**20))
    assert (
        await why_not(place.url)
        == "oss://config/配置/signer.yaml: is larger than 16 MiB; use fewer apps, or a directory of files"
    )
