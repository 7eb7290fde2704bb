"""An account that is too new for the default public endpoints of Chinese mainland regions."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud, local_cloud
from tests.localcloud.forms import signed_form

DOMAIN = "upload.example.com"


@pytest.fixture
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    buckets = (
        "--bucket",
        "photos=cn-hangzhou",
        "--bucket",
        "overseas=ap-southeast-1",
        "--bucket",
        "hongkong=cn-hongkong",
    )
    async with local_cloud(session, "--new-account", *buckets) as running:
        async with session.put(f"{running.oss}/-/domains/{DOMAIN}", json={"bucket": "photos"}) as response:
            assert response.status == 200
        yield running


async def post(cloud: Cloud, host: str | None, path: str = "/", region: str = "cn-hangzhou") -> tuple[int, str]:
    data = aiohttp.FormData(quote_fields=False)
    for name, value in signed_form(region=region).items():
        data.add_field(name, value)
    data.add_field("file", b"x", filename="x")
    headers = {} if host is None else {"Host": host}
    async with cloud.session.post(cloud.oss + path, data=data, headers=headers) as response:
        return response.status, await response.text()


@pytest.mark.parametrize(
    ("host", "path"), [("photos.oss-cn-hangzhou.aliyuncs.com", "/"), (None, "/photos")], ids=["endpoint", "address"]
)
async def test_the_default_public_endpoint_is_closed(cloud: Cloud, host: str | None, path: str) -> None:
    status, body = await post(cloud, host, path)
    assert (status, "<Code>PublicEndpointForbidden</Code>" in body, "<EC>0048-00000401</EC>" in body) == (
        400,
        True,
        True,
    )
    assert await cloud.objects("photos") == []


@pytest.mark.parametrize(
    ("host", "region"),
    [
        (DOMAIN, "cn-hangzhou"),
        ("photos.oss-cn-hangzhou-internal.aliyuncs.com", "cn-hangzhou"),
        ("photos.oss-accelerate.aliyuncs.com", "cn-hangzhou"),
        ("overseas.oss-ap-southeast-1.aliyuncs.com", "ap-southeast-1"),
        ("hongkong.oss-cn-hongkong.aliyuncs.com", "cn-hongkong"),
    ],
)
async def test_other_addresses_are_open(cloud: Cloud, host: str, region: str) -> None:
    assert (await post(cloud, host, region=region))[0] == 204


async def test_operations_on_buckets_are_open_and_on_objects_closed(cloud: Cloud) -> None:
    host = {"Host": "photos.oss-cn-hangzhou.aliyuncs.com"}
    async with cloud.session.get(f"{cloud.oss}/?location", headers=host) as response:
        assert (response.status, "PublicEndpointForbidden" in await response.text()) == (403, False)
    for path in ("/a.txt", "/?list-type=2"):
        async with cloud.session.get(f"{cloud.oss}{path}", headers=host) as response:
            assert (response.status, "PublicEndpointForbidden" in await response.text()) == (400, True)
