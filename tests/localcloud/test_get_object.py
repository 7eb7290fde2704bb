"""GetObject and HeadObject: conditions, ranges and headers of the response."""

from __future__ import annotations

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient

from tests.harness.local_cloud import Cloud
from tests.localcloud.presigned import presigned
from tests.localcloud.uploading import etag

PAST, FUTURE = "Wed, 01 Jan 2020 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
BODY = b"0123456789"


@pytest.fixture(autouse=True)
async def stored(sdk: AsyncClient) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="a.txt", body=BODY, cache_control="no-store"))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("If-Match", etag(BODY), 200),
        ("If-Match", etag(BODY).strip('"'), 200),
        ("If-Match", '"other"', 412),
        ("If-None-Match", etag(BODY), 304),
        ("If-None-Match", '"other"', 200),
        ("If-Modified-Since", FUTURE, 304),
        ("If-Modified-Since", PAST, 200),
        ("If-Modified-Since", "today", 200),
        ("If-Unmodified-Since", FUTURE, 200),
        ("If-Unmodified-Since", PAST, 412),
    ],
)
async def test_conditional_requests(
    cloud: Cloud, session: aiohttp.ClientSession, method: str, name: str, value: str, status: int
) -> None:
    async with session.request(method, f"{cloud.oss}/photos/a.txt", headers={name: value}) as answer:
        assert answer.status == status
        content = await answer.read()
    if method == "GET" and status == 200:
        assert content == BODY
    if status == 304:
        assert content == b""
    if status != 412:
        assert answer.headers["ETag"] == etag(BODY)


@pytest.mark.parametrize(
    ("span", "behaviour", "status", "content"),
    [
        ("bytes=2-4", "", 206, b"234"),
        ("bytes=7-", "", 206, b"789"),
        ("bytes=-3", "", 206, b"789"),
        ("bytes=0-9", "", 206, BODY),
        # OSS ignores ranges that are not within the object, unless the request wants the standard behaviour.
        ("bytes=5-10", "", 200, BODY),
        ("bytes=10-20", "", 200, BODY),
        ("bytes=-11", "", 200, BODY),
        ("bytes=5-10", "standard", 206, b"56789"),
        ("bytes=-11", "standard", 206, BODY),
        ("bytes=10-20", "standard", 416, b""),
        ("bytes=4-2", "", 200, BODY),
        ("bytes=1-2,4-5", "", 200, BODY),
        ("lines=1-2", "", 200, BODY),
    ],
)
async def test_ranges(
    cloud: Cloud, session: aiohttp.ClientSession, span: str, behaviour: str, status: int, content: bytes
) -> None:
    headers = {"Range": span} | ({"x-oss-range-behavior": behaviour} if behaviour else {})
    async with session.get(f"{cloud.oss}/photos/a.txt", headers=headers) as answer:
        assert answer.status == status
        found = await answer.read()
    if status == 416:
        assert b"InvalidRange" in found
        return
    assert found == content
    assert ("Content-Range" in answer.headers) is (status == 206)
    assert answer.headers["ETag"] == etag(BODY)


async def test_an_empty_object(cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="empty", body=b""))
    for headers in ({}, {"Range": "bytes=0-0"}, {"Range": "bytes=-1"}):
        async with session.get(f"{cloud.oss}/photos/empty", headers=headers) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
            assert answer.headers["Content-Length"] == "0"


async def test_a_signed_request_sets_headers_of_the_response(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    query = {"response-content-type": "text/x", "response-content-disposition": "attachment"}
    async with session.get(presigned(cloud.oss, "GET", "a.txt", query, {})) as answer:
        assert answer.headers["Content-Type"] == "text/x"
        assert answer.headers["Content-Disposition"] == "attachment"
        assert answer.headers["Cache-Control"] == "no-store"
    async with session.get(f"{cloud.oss}/photos/a.txt", params=query) as answer:
        assert answer.status == 400


async def test_the_object_of_a_running_download_can_be_replaced(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession
) -> None:
    large = b"x" * 8 * 2**20
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="large", body=large))
    async with session.get(f"{cloud.oss}/photos/large") as answer:
        head = await answer.content.readexactly(1)
        await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="large", body=b"y"))
        assert head + await answer.read() == large
    assert await cloud.content("photos", "large") == b"y"
