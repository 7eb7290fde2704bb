"""Multipart uploads: single calls, by Alibaba's SDK and by hand. The SDK's own uploader is in test_multipart_clients.py."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from collections.abc import AsyncIterator
from hashlib import md5
from pathlib import Path
from urllib.parse import quote

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient
from yarl import URL

from tests.harness.local_cloud import Cloud
from tests.localcloud.presigned import presigned
from tests.localcloud.sdk import assume, key_of
from tests.localcloud.test_bucket_queries import client, refused
from tests.localcloud.uploading import KEY, LAST, PART, Uploading, etag


async def test_an_object_consists_of_its_parts_in_order(cloud: Cloud, sdk: AsyncClient) -> None:
    upload = await Uploading(sdk).start(
        content_type="video/mp4", metadata={"upload": "m1"}, storage_class="IA", cache_control="no-store"
    )
    other = PART[::-1]
    assert (await upload.put(5, LAST)).etag == etag(LAST)
    await upload.put(1)
    await upload.put(2)
    stored = await upload.put(2, other, content_md5=base64.b64encode(md5(other).digest()).decode())
    assert stored.hash_crc64
    done = await upload.complete(acl="public-read")
    joined = md5(md5(PART).digest() + md5(other).digest() + md5(LAST).digest()).hexdigest().upper()
    assert (done.bucket, done.key, done.etag) == ("photos", KEY, f'"{joined}-3"')
    assert await cloud.content("photos", KEY) == PART + other + LAST
    head = await upload.head()
    assert (head.content_length, head.content_type, head.etag) == (2 * len(PART) + len(LAST), "video/mp4", done.etag)
    assert (head.metadata, head.storage_class, head.object_type) == ({"upload": "m1"}, "IA", "Multipart")
    assert head.hash_crc64 == done.hash_crc64
    [listed] = await cloud.objects("photos")
    assert (listed["acl"], listed["headers"]["cache-control"]) == ("public-read", "no-store")
    # The CRC-64 that was combined from those of the parts is that of the content.
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="whole", body=PART + other + LAST))
    whole = await sdk.head_object(oss.HeadObjectRequest(bucket="photos", key="whole"))
    assert whole.hash_crc64 == head.hash_crc64


async def test_nothing_is_visible_before_complete_and_parts_that_are_not_listed_are_dropped(
    cloud: Cloud, sdk: AsyncClient
) -> None:
    upload = await Uploading(sdk).start()
    await upload.put(1)
    await upload.put(2)
    assert await cloud.objects("photos") == []
    await upload.complete([(2, upload.etags[2])])
    assert await cloud.content("photos", KEY) == PART
    for call in (upload.put(3), upload.list(), upload.complete(), upload.abort()):
        assert (await refused(call))[:2] == (404, "NoSuchUpload")


async def test_an_aborted_upload_is_deleted(cloud: Cloud, sdk: AsyncClient) -> None:
    upload = await Uploading(sdk).start()
    await upload.put(1)
    assert (await upload.abort()).status_code == 204
    for call in (upload.put(2), upload.list(), upload.complete(), upload.abort()):
        assert (await refused(call))[:2] == (404, "NoSuchUpload")
    assert await cloud.objects("photos") == []


async def test_an_upload_belongs_to_its_key_and_bucket(cloud: Cloud, sdk: AsyncClient) -> None:
    await cloud.create_bucket("other")
    upload = await Uploading(sdk).start()
    stolen = Uploading(sdk, "another.mp4", upload.id)
    for call in (stolen.put(1), stolen.list(), stolen.complete([(1, "x")]), stolen.abort()):
        assert (await refused(call))[:2] == (404, "NoSuchUpload")
    elsewhere = oss.ListPartsRequest(bucket="other", key=KEY, upload_id=upload.id)
    assert (await refused(sdk.list_parts(elsewhere)))[:2] == (404, "NoSuchUpload")


async def test_a_wrong_list_of_parts_is_refused_and_can_be_corrected(cloud: Cloud, sdk: AsyncClient) -> None:
    upload = await Uploading(sdk).start()
    await upload.put(1)
    await upload.put(2, LAST)
    await upload.put(3, LAST)
    one, two, three = upload.etags[1], upload.etags[2], upload.etags[3]
    for parts, code in (
        ([(2, two), (1, one)], "InvalidPartOrder"),
        ([(1, one), (1, one)], "InvalidPartOrder"),
        ([(1, two)], "InvalidPart"),
        ([(1, one), (4, two)], "InvalidPart"),
        ([(1, one), (2, two), (3, three)], "EntityTooSmall"),
        ([(0, one)], "InvalidArgument"),
        ([(10_001, one)], "InvalidArgument"),
        ([], "MalformedXML"),
    ):
        assert (await refused(upload.complete(parts)))[:2] == (400, code), parts
    assert await cloud.objects("photos") == []
    await upload.complete([(1, one), (2, two)])
    assert await cloud.content("photos", KEY) == PART + LAST


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", "1.5", "", "١"])
async def test_part_numbers_are_from_1_to_10000(cloud: Cloud, sdk: AsyncClient, number: str) -> None:
    upload = await Uploading(sdk).start()
    assert (await refused(upload.put(number)))[:2] == (400, "InvalidArgument")  # type: ignore[arg-type]


async def test_a_part_with_another_md5_is_refused(cloud: Cloud, sdk: AsyncClient) -> None:
    upload = await Uploading(sdk).start()
    assert (await refused(upload.put(1, content_md5="AAAAAAAAAAAAAAAAAAAAAA==")))[:2] == (400, "InvalidDigest")
    assert not (await upload.list()).parts


async def test_parts_are_listed_in_pages(cloud: Cloud, sdk: AsyncClient) -> None:
    upload = await Uploading(sdk).start()
    for number in (1, 3, 10_000):
        await upload.put(number, LAST)
    page = await upload.list(max_parts=2)
    assert [(part.part_number, part.etag, part.size) for part in page.parts] == [
        (1, etag(LAST), len(LAST)),
        (3, etag(LAST), len(LAST)),
    ]
    assert (page.is_truncated, page.next_part_number_marker, page.max_parts) == (True, 3, 2)
    page = await upload.list(max_parts=2, part_number_marker="3", encoding_type="url")
    assert ([part.part_number for part in page.parts], page.is_truncated, page.key) == ([10_000], False, KEY)
    for wrong in ({"max_parts": 0}, {"max_parts": 1001}, {"part_number_marker": "x"}, {"encoding_type": "xml"}):
        assert (await refused(upload.list(**wrong)))[:2] == (400, "InvalidArgument")


async def _chunked(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_a_presigned_part_has_the_signed_length_and_type(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession
) -> None:
    token = key_of(await assume(cloud))
    upload = await Uploading(sdk).start()
    octets = {"Content-Type": "application/octet-stream"}
    url = presigned(
        cloud.oss,
        "PUT",
        KEY,
        {"partNumber": "7", "uploadId": upload.id},
        {"content-length": str(len(PART)), "content-type": "application/octet-stream"},
        signer=token,
    )
    page = {"Origin": "https://h5.example.com"}
    for body, headers, status in (
        (PART[1:], octets, 403),
        (PART + b"x", octets, 403),
        (PART, {"Content-Type": "text/plain"}, 403),
        (PART, octets | {"x-oss-meta-a": "b"}, 403),
        (_chunked(PART), octets, 400),
        (PART, octets, 200),
        (PART, octets | page, 200),
    ):
        async with session.put(url, data=body, headers=headers) as answer:
            assert answer.status == status, await answer.text()
    assert answer.headers["ETag"] == etag(PART)
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    assert [part.part_number for part in (await upload.list()).parts] == [7]
    await cloud.set_faults(oss={"kind": "clock", "offset_seconds": 3601})
    async with session.put(url, data=PART, headers=octets) as answer:
        assert (answer.status, "Request has expired" in await answer.text()) == (403, True)


async def test_each_call_needs_a_signature(cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession) -> None:
    upload = await Uploading(sdk).start()
    url = f"{cloud.oss}/photos/{quote(KEY)}"
    for method, query in (
        ("POST", "?uploads"),
        ("PUT", f"?partNumber=1&uploadId={upload.id}"),
        ("POST", f"?uploadId={upload.id}"),
        ("GET", f"?uploadId={upload.id}"),
        ("DELETE", f"?uploadId={upload.id}"),
    ):
        async with session.request(method, URL(url + query, encoded=True), data=b"x") as answer:
            assert (answer.status, "AccessDenied" in await answer.text()) == (403, True), query
    async with session.get(f"{cloud.oss}/photos?uploads") as answer:
        assert answer.status == 403


GRANTS = [
    ("oss:PutObject", "photos/*", {"start", "put", "complete"}),
    ("oss:ListParts", "photos/*", {"list"}),
    ("oss:AbortMultipartUpload", "photos/*", {"abort"}),
    ("oss:ListMultipartUploads", "photos", {"list uploads"}),
    ("oss:GetObject", "photos/*", set()),
]


@pytest.mark.parametrize(("action", "resource", "allowed"), GRANTS)
async def test_ram_actions(cloud: Cloud, sdk: AsyncClient, action: str, resource: str, allowed: set[str]) -> None:
    statement = {"Effect": "Allow", "Action": action, "Resource": f"acs:oss:*:*:{resource}"}
    token = key_of(await assume(cloud, policy=json.dumps({"Version": "1", "Statement": [statement]})))
    full = await Uploading(sdk).start()
    await full.put(1)
    async with client(cloud, token) as limited:
        upload = Uploading(limited, KEY, full.id)
        calls = {
            "start": Uploading(limited).start(),
            "put": upload.put(2),
            "list": upload.list(),
            "list uploads": limited.list_multipart_uploads(oss.ListMultipartUploadsRequest(bucket="photos")),
            "complete": upload.complete([(1, full.etags[1])]),
            "abort": Uploading(limited, KEY, (await Uploading(sdk).start()).id).abort(),
        }
        for name, call in calls.items():
            if name in allowed:
                await call
            else:
                assert (await refused(call))[:2] == (403, "AccessDenied"), name


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_parts_and_their_object_are_not_kept_in_memory(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession
) -> None:
    def peak_bytes() -> int:
        status = Path(f"/proc/{cloud.process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

    part = bytes(32 * 2**20)
    upload = await Uploading(sdk).start()
    before = peak_bytes()
    for number in (1, 2, 3):
        url = presigned(cloud.oss, "PUT", KEY, {"partNumber": str(number), "uploadId": upload.id}, {})
        async with session.put(url, data=io.BytesIO(part), skip_auto_headers=["Content-Type"]) as answer:
            assert answer.status == 200, await answer.text()
    await upload.complete([(number, etag(part)) for number in (1, 2, 3)])
    async with session.get(f"{cloud.oss}/photos/{quote(KEY)}") as answer:
        received = sum([len(chunk) async for chunk in answer.content.iter_any()])
    assert received == 3 * len(part)
    assert peak_bytes() - before < len(part)
