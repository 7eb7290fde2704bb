"""`oss://` reads an object with the instance's role and V4 header signatures, without blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.signer import signer
from tests.harness.waiting import wait_until
from tests.stores.signer_calls import definitions, load_error, serves
from tests.stores.store_servers import OssStoreObject


@pytest.fixture
async def place(session: aiohttp.ClientSession) -> AsyncIterator[OssStoreObject]:
    async with local_cloud(session, "--bucket", "config=cn-hangzhou") as cloud:
        yield OssStoreObject(cloud)


async def calls(cloud: Cloud, action: str) -> list[int | None]:
    """Return the status of each call of this action."""
    async with cloud.session.get(f"{cloud.oss}/-/calls", params={"action": action}) as answer:
        return [each["status"] for each in await answer.json()]


async def test_an_expiring_token_is_refreshed(session: aiohttp.ClientSession) -> None:
    async with local_cloud(session, "--bucket", "config=cn-hangzhou", "--token-seconds", "2") as cloud:
        place = OssStoreObject(cloud)
        await place.put(definitions("a"))
        async with signer(session, place.url) as running:
            before = (await cloud.counts())["metadata.credentials"]

            async def is_refreshed() -> bool:
                return (await cloud.counts())["metadata.credentials"] >= before + 2

            await wait_until(is_refreshed)
            await place.put(definitions("b"))
            await wait_until(lambda: serves(running, "b"))
        assert set(await calls(cloud, "GetObject")) == {200}


async def test_a_token_is_fetched_once(place: OssStoreObject, session: aiohttp.ClientSession) -> None:
    await place.put(definitions("a"))
    async with signer(session, place.url) as running:

        async def has_polled_twice() -> bool:
            return (await place.cloud.counts()).get("oss.HeadObject", 0) >= 2

        await wait_until(has_polled_twice)
        assert (await place.cloud.counts())["metadata.credentials"] == 1
        await place.cloud.set_faults(metadata={"kind": "status", "status": 500})
        await place.put(definitions("b"))
        await wait_until(lambda: serves(running, "b"))


async def test_a_deleted_object_leaves_the_active_definitions(
    place: OssStoreObject, session: aiohttp.ClientSession
) -> None:
    await place.put(definitions("a"))
    async with signer(session, place.url) as running:
        await place.delete()
        assert (await running.reload())[0] == 503
        assert str((await running.last_reload())["error"]).endswith("no such bucket or object (404); check both names")
        assert await serves(running, "a")


async def test_a_slow_oss_delays_no_request(place: OssStoreObject, session: aiohttp.ClientSession) -> None:
    await place.put(definitions("a"))
    async with signer(session, place.url) as running:
        await place.cloud.set_faults(oss={"kind": "hang"})
        reloading = asyncio.create_task(running.reload())
        for _ in range(5):
            assert await serves(running, "a")
        assert not reloading.done()
        assert (await reloading)[0] == 503
        assert str((await running.last_reload())["error"]).startswith("oss://config/配置/signer.yaml: ")


async def test_each_failure_has_a_message(place: OssStoreObject) -> None:
    await place.put(definitions("a"))
    location = "oss://config/配置/signer.yaml"
    right = place.url
    assert await load_error(right) is None
    assert await load_error(right.replace("配置", "%E9%85%8D%E7%BD%AE")) is None
    for url, message in (
        (
            right.replace("signer.yaml", "other.yaml"),
            "oss://config/配置/other.yaml: no such bucket or object (404); check both names",
        ),
        (
            right.replace("cn-hangzhou", "cn-beijing"),
            f"{location}: OSS rejected the request (400 InvalidArgument, EC 0002-00000226)",
        ),
        (right.replace("metadata=", "metadata=http://127.0.0.1:1/&x="), "unknown option 'x'; use endpoint, "),
        (
            right.replace("region=cn-hangzhou", ""),
            f"--config {location}: incomplete; write oss://BUCKET/KEY?region=cn-hangzhou",
        ),
        (
            "oss://config?region=cn-hangzhou",
            "--config oss://config: incomplete; write oss://BUCKET/KEY?region=cn-hangzhou",
        ),
        (
            right.replace("//config", "//LTAI:secret@config"),
            f"--config {location}: an AccessKey and a fragment (#) are not allowed",
        ),
        (f"{right}&role_name=nobody", f"{location}: the metadata service has no such role"),
    ):
        error = await load_error(url)
        assert error is not None, url
        assert message in error
    for faults, message in (
        (
            {"oss": {"kind": "clock", "offset_seconds": 1200}},
            "OSS rejected the request (403 RequestTimeTooSkewed, EC 0002-00000504)",
        ),
        ({"oss": {"kind": "status", "status": 502}}, "OSS rejected the request (502 BadErrorResponse)"),
        ({"metadata": {"kind": "reset"}}, "the metadata service"),
    ):
        await place.cloud.set_faults(**faults)
        error = await load_error(right)
        assert error is not None, faults
        assert error.startswith(location)
        assert message in error


async def test_a_too_large_object_is_rejected(place: OssStoreObject) -> None:
    await place.put("#" * (17 * 2**20))
    assert (
        await load_error(place.url)
        == "oss://config/配置/signer.yaml: is larger than 16 MiB; use fewer apps, or a directory of files"
    )
