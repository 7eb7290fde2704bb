"""What the local cloud once answered with 200 without doing it. Each is implemented now, or answered 501 by name."""

from __future__ import annotations

from urllib.parse import quote, unquote

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient
from yarl import URL

from tests.harness.local_cloud import Cloud
from tests.localcloud.presigned import presigned

PUT_CASES: list[tuple[str, dict[str, str], dict[str, str], str]] = [
    ("PUT", {"worm": ""}, {}, "worm"),
    ("PUT", {}, {"x-oss-server-side-data-encryption": "SM4"}, "x-oss-server-side-data-encryption"),
    ("PUT", {}, {"x-oss-traffic-limit": "819200"}, "x-oss-traffic-limit"),
    ("PUT", {"versionId": "1"}, {}, "versionId"),
    ("GET", {"versionId": "1"}, {}, "versionId"),
    ("GET", {"x-oss-process": "video/snapshot,t_1000"}, {}, "x-oss-process"),
    ("GET", {"anything": "1"}, {}, "anything"),
    ("HEAD", {"versionId": "1"}, {}, ""),
    ("DELETE", {"versionId": "1"}, {}, "versionId"),
    ("POST", {"restore": ""}, {}, "restore"),
    ("POST", {"select/meta": "", "x-oss-process": "csv/meta"}, {}, "select/meta"),
]


@pytest.mark.parametrize(("method", "query", "headers", "name"), PUT_CASES)
async def test_what_is_not_implemented_is_named_and_changes_nothing(
    cloud: Cloud,
    sdk: AsyncClient,
    session: aiohttp.ClientSession,
    method: str,
    query: dict[str, str],
    headers: dict[str, str],
    name: str,
) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="a.txt", body=b"first"))
    url = presigned(cloud.oss, method, "a.txt", query, headers)
    async with session.request(
        method, url, headers=headers, data=b"" if method == "PUT" else None, skip_auto_headers=["Content-Type"]
    ) as answer:
        assert answer.status == 501, await answer.text()
        assert name in await answer.text()
    assert await cloud.content("photos", "a.txt") == b"first"
    [stored] = await cloud.objects("photos")
    assert (stored["acl"], stored["headers"]) == ("default", {})


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("GET", {"list-type": "2", "allow-unordered": "1"}),
        ("GET", {"versions": ""}),
        ("GET", {"policy": ""}),
        ("PUT", {"website": ""}),
        ("PUT", {"versioning": ""}),
        ("POST", {"anything": ""}),
        ("DELETE", {}),
    ],
)
async def test_calls_of_buckets_that_are_not_implemented(
    cloud: Cloud, session: aiohttp.ClientSession, method: str, query: dict[str, str]
) -> None:
    url = presigned(cloud.oss, method, "", query, {})
    async with session.request(method, url, skip_auto_headers=["Content-Type"]) as answer:
        text = await answer.text()
        assert (answer.status, "<Code>NotImplemented</Code>" in text) == (501, True), text


async def test_a_v1_signature_in_a_url_is_not_ignored(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession
) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="a.txt", body=b"first"))
    url = f"{cloud.oss}/photos/a.txt?OSSAccessKeyId=LTAI-local&Expires=1&Signature=wrong"
    async with session.get(URL(url, encoded=True)) as answer:
        assert answer.status == 403, await answer.text()


@pytest.mark.parametrize("path", ["/a", "%2Fa", "%5Ca", "\\a", "x" * 1024, "%E7%85", "照" * 342])
async def test_a_key_that_oss_refuses_is_not_stored(cloud: Cloud, session: aiohttp.ClientSession, path: str) -> None:
    key = unquote(path)
    url = presigned(cloud.oss, "PUT", key, {}, {})
    if "\ufffd" in key:
        url = URL(str(url).replace(quote(key), path), encoded=True)
    async with session.put(url, data=b"x", skip_auto_headers=["Content-Type"]) as answer:
        assert (answer.status, "InvalidObjectName" in await answer.text()) == (400, True)
    assert await cloud.objects("photos") == []


async def test_a_slash_within_a_key_is_part_of_it(cloud: Cloud, sdk: AsyncClient) -> None:
    for key in ("a//b", "a/", "a", "x" * 1023):
        await sdk.put_object(oss.PutObjectRequest(bucket="photos", key=key, body=key.encode()))
    assert {each["key"] for each in await cloud.objects("photos")} == {"a//b", "a/", "a", "x" * 1023}
    assert await cloud.content("photos", "a//b") == b"a//b"
