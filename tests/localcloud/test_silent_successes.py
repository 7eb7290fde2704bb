"""What the local cloud once answered with 200 without doing it. Each is implemented now, or answered 501 by name."""

from __future__ import annotations

import gzip
from urllib.parse import quote, unquote

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient
from yarl import URL

from tests.harness.local_cloud import Cloud
from tests.localcloud.presigned import presigned
from tests.localcloud.signed_call import signed_assume_role

PUT_CASES: list[tuple[str, dict[str, str], dict[str, str], str]] = [
    ("PUT", {"worm": ""}, {}, "worm"),
    ("PUT", {}, {"x-oss-server-side-data-encryption": "SM4"}, "x-oss-server-side-data-encryption"),
    ("PUT", {}, {"x-oss-traffic-limit": "819200"}, "x-oss-traffic-limit"),
    ("PUT", {"versionId": "1"}, {}, "versionId"),
    ("PUT", {}, {"x-oss-callback": "eyJjYWxsYmFja0lkIjogIjEifQ=="}, "callbackId"),
    ("GET", {"versionId": "1"}, {}, "versionId"),
    ("GET", {"x-oss-process": "video/snapshot,t_1000"}, {}, "x-oss-process"),
    ("GET", {"anything": "1"}, {}, "anything"),
    ("HEAD", {"versionId": "1"}, {}, ""),
    ("DELETE", {"versionId": "1"}, {}, "versionId"),
    ("POST", {"restore": ""}, {}, "restore"),
    ("POST", {"select/meta": "", "x-oss-process": "csv/meta"}, {}, "select/meta"),
]


NO_VALUES: list[tuple[str, dict[str, str], dict[str, str], str]] = [
    ("PUT", {}, {"x-oss-forbid-overwrite": "1"}, "x-oss-forbid-overwrite"),
    ("PUT", {}, {"x-oss-callback-var": "e30="}, "callback"),
    ("PUT", {"callback": ""}, {}, "callback"),
    ("GET", {}, {"x-oss-range-behavior": "strict"}, "x-oss-range-behavior"),
]
"""Values that a parameter or header does not have."""


@pytest.mark.parametrize(
    ("method", "query", "headers", "name", "status"),
    [*((*case, 501) for case in PUT_CASES), *((*case, 400) for case in NO_VALUES)],
)
async def test_what_is_not_implemented_is_named_and_changes_nothing(
    cloud: Cloud,
    sdk: AsyncClient,
    session: aiohttp.ClientSession,
    method: str,
    query: dict[str, str],
    headers: dict[str, str],
    name: str,
    status: int,
) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="a.txt", body=b"first"))
    url = presigned(cloud.oss, method, "a.txt", query, headers)
    async with session.request(
        method, url, headers=headers, data=b"" if method == "PUT" else None, skip_auto_headers=["Content-Type"]
    ) as answer:
        assert answer.status == status, await answer.text()
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


async def test_a_repeated_parameter_is_refused(cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="a.txt", body=b"first"))
    url = presigned(cloud.oss, "GET", "a.txt", {"response-content-type": "text/x"}, {})
    async with session.get(URL(f"{url}&response-content-type=text/x", encoded=True)) as answer:
        assert (answer.status, "response-content-type" in await answer.text()) == (501, True)


@pytest.mark.parametrize("query", ["x-oss-signature-version=OSS4-HMAC-SHA256", "Expires=1", "security-token=CAIS"])
async def test_only_one_signature_counts(cloud: Cloud, session: aiohttp.ClientSession, query: str) -> None:
    url = URL(f"{cloud.oss}/photos/a.txt?{query}", encoded=True)
    async with session.get(url, headers={"Authorization": "OSS LTAI-local:x"}) as answer:
        assert (answer.status, "0002-00000039" in await answer.text()) == (400, True)
    async with session.get(url) as answer:
        assert answer.status in (400, 403), await answer.text()


@pytest.mark.parametrize("storage_class", ["Archive", "ColdArchive", "DeepColdArchive"])
async def test_an_archived_object_cannot_be_read(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession, storage_class: str
) -> None:
    headers = {"x-oss-storage-class": storage_class}
    async with session.put(
        presigned(cloud.oss, "PUT", "a", {}, headers), headers=headers, data=b"x", skip_auto_headers=["Content-Type"]
    ) as answer:
        assert answer.status == 200, await answer.text()
    for headers in ({}, {"x-oss-copy-source": "/photos/a"}):
        method = "PUT" if headers else "GET"
        url = presigned(cloud.oss, method, "b" if headers else "a", {}, headers)
        async with session.request(method, url, headers=headers, skip_auto_headers=["Content-Type"]) as answer:
            text = await answer.text()
            assert (answer.status, "InvalidObjectState" in text, "0016-00000404" in text) == (403, True, True)
    assert (await sdk.head_object(oss.HeadObjectRequest(bucket="photos", key="a"))).storage_class == storage_class


@pytest.mark.parametrize("body", [gzip.compress(b"hello" * 100), b"no gzip"], ids=["gzip", "no gzip"])
async def test_an_encoded_body_is_stored_as_it_is(cloud: Cloud, session: aiohttp.ClientSession, body: bytes) -> None:
    headers = {"content-encoding": "gzip"}
    url = presigned(cloud.oss, "PUT", "a.txt", {}, headers)
    async with session.put(url, headers=headers, data=body, skip_auto_headers=["Content-Type"]) as answer:
        assert answer.status == 200, await answer.text()
    async with (
        aiohttp.ClientSession(auto_decompress=False) as plain,
        plain.get(f"{cloud.oss}/photos/a.txt") as answer,
    ):
        assert (await answer.read(), answer.headers["Content-Encoding"]) == (body, "gzip")


async def test_a_proxy_gets_no_metadata_token(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    ttl = {"X-aliyun-ecs-metadata-token-ttl-seconds": "60"}
    for headers, status in ((ttl, 200), (ttl | {"X-Forwarded-For": "192.0.2.1"}, 403)):
        async with session.put(f"{cloud.metadata}/latest/api/token", headers=headers) as answer:
            assert answer.status == status


async def test_an_unsigned_header_of_sts_is_refused(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    url, headers = signed_assume_role(cloud.sts)
    async with session.post(url, headers={**headers, "x-acs-anything": "1"}) as answer:
        assert (answer.status, (await answer.json())["Code"]) == (400, "IncompleteSignature")


@pytest.mark.parametrize(
    ("method", "query", "headers"),
    [
        ("PUT", {}, {"x-oss-copy-source": "/photos/a.txt"}),
        ("PUT", {"acl": ""}, {"x-oss-object-acl": "private"}),
        ("POST", {"uploads": ""}, {}),
        ("GET", {}, {}),
        ("DELETE", {}, {}),
    ],
)
async def test_a_body_that_nothing_reads_is_refused(
    cloud: Cloud,
    sdk: AsyncClient,
    session: aiohttp.ClientSession,
    method: str,
    query: dict[str, str],
    headers: dict[str, str],
) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="a.txt", body=b"first"))
    url = presigned(cloud.oss, method, "a.txt", query, headers)
    async with session.request(method, url, headers=headers, data=b"x", skip_auto_headers=["Content-Type"]) as answer:
        assert (answer.status, "The body of " in await answer.text()) == (501, True)
    assert await cloud.content("photos", "a.txt") == b"first"


async def test_the_sdk_knows_the_error_of_a_head_request(cloud: Cloud, sdk: AsyncClient) -> None:
    with pytest.raises(oss.exceptions.OperationError) as found:
        await sdk.head_object(oss.HeadObjectRequest(bucket="photos", key="none"))
    refusal = found.value.unwrap()
    assert isinstance(refusal, oss.exceptions.ServiceError)
    assert (refusal.code, refusal.ec) == ("NoSuchKey", "0026-00000001")
