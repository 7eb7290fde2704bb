"""CompleteMultipartUpload: its headers, callbacks and what happens at the same time."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from urllib.parse import quote

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient
from yarl import URL

from tests.callers.stub import body, document, stub
from tests.harness.local_cloud import Cloud
from tests.harness.waiting import wait_until
from tests.localcloud.presigned import presigned
from tests.localcloud.test_bucket_queries import refused
from tests.localcloud.test_callbacks import Recorder, callback_field
from tests.localcloud.uploading import KEY, LAST, PART, Uploading, etag

VARIABLES = base64.b64encode(json.dumps({"x:mine": "a&b=ü"}).encode()).decode()


async def test_complete_all_uses_every_part_and_no_list(cloud: Cloud, sdk: AsyncClient) -> None:
    upload = await Uploading(sdk).start()
    await upload.put(7, LAST)
    await upload.put(2)
    listed = list(upload.etags.items())
    assert (await refused(upload.complete(listed, complete_all="yes")))[1:] == ("InvalidArgument", "0042-00000216")
    assert (await refused(upload.complete([], complete_all="no")))[:2] == (400, "InvalidArgument")
    await upload.complete([], complete_all="yes")
    assert await cloud.content("photos", KEY) == PART + LAST


async def test_complete_all_needs_a_part_and_large_enough_ones(cloud: Cloud, sdk: AsyncClient) -> None:
    upload = await Uploading(sdk).start()
    assert (await refused(upload.complete([], complete_all="yes")))[:2] == (400, "InvalidPart")
    await upload.put(1, LAST)
    await upload.put(2, LAST)
    assert (await refused(upload.complete([], complete_all="yes")))[:2] == (400, "EntityTooSmall")


async def test_overwriting_can_be_forbidden_at_both_ends(cloud: Cloud, sdk: AsyncClient) -> None:
    upload = await Uploading(sdk).start(forbid_overwrite=True)
    await upload.put(1)
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key=KEY, body=b"first"))
    assert (await refused(Uploading(sdk).start(forbid_overwrite=True)))[:2] == (409, "FileAlreadyExists")
    assert await refused(upload.complete(forbid_overwrite=True)) == (409, "FileAlreadyExists", "0042-00000214")
    assert await cloud.content("photos", KEY) == b"first"
    await upload.complete()
    assert await cloud.content("photos", KEY) == PART


async def test_the_callback_of_complete(cloud: Cloud, sdk: AsyncClient) -> None:
    recorder = Recorder()
    upload = await Uploading(sdk).start(content_type="video/mp4")
    await upload.put(1)
    async with stub(recorder) as server:
        text = "b=${bucket}&o=${object}&e=${etag}&s=${size}&t=${mimeType}&m=${x:mine}&op=${operation}"
        done = await upload.complete(callback=callback_field(server.url, text), callback_var=VARIABLES)
    assert done.callback_result == '{"ok": 1}'
    assert done.headers["ETag"].endswith('-1"')
    [(_, sent)] = recorder.requests
    tag = quote(done.headers["ETag"].strip('"'))
    assert sent.decode() == (
        f"b=photos&o={quote(KEY, safe='')}&e={tag}&s={len(PART)}&t=video%2Fmp4&m=a%26b%3D%C3%BC"
        "&op=CompleteMultipartUpload"
    )


async def test_a_failed_callback_is_a_203_and_the_object_stays(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession
) -> None:
    upload = await Uploading(sdk).start()
    await upload.put(1)
    async with stub(body(b"{}", 500)) as server:
        field = callback_field(server.url)
        url = presigned(cloud.oss, "POST", KEY, {"uploadId": upload.id, "callback": field}, {})
        listed = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag(PART)}</ETag></Part></CompleteMultipartUpload>"
        async with session.post(url, data=listed, skip_auto_headers=["Content-Type"]) as answer:
            assert (answer.status, "<Code>CallbackFailed</Code>" in await answer.text()) == (203, True)
    assert await cloud.content("photos", KEY) == PART


@pytest.mark.parametrize(
    "members",
    [
        {"callback": "%%%"},
        {"callback": callback_field("http://127.0.0.1:1", ""), "callback_var": VARIABLES},
        {"callback": callback_field("http://127.0.0.1:1"), "callback_var": "e30x"},
        {"callback": callback_field("http://127.0.0.1:1"), "callback_var": base64.b64encode(b'{"a": "b"}').decode()},
        {"callback": callback_field("http://127.0.0.1:1"), "callback_var": base64.b64encode(b'{"x:a": 1}').decode()},
        {"acl": "everybody"},
    ],
)
async def test_an_invalid_header_changes_nothing(cloud: Cloud, sdk: AsyncClient, members: dict[str, Any]) -> None:
    upload = await Uploading(sdk).start()
    await upload.put(1)
    assert (await refused(upload.complete(**members)))[:2] == (400, "InvalidArgument")
    assert await cloud.objects("photos") == []
    await upload.complete()


async def test_a_put_has_callbacks_too(cloud: Cloud, sdk: AsyncClient) -> None:
    async with stub(document({"ok": 1})) as server:
        request = oss.PutObjectRequest(
            bucket="photos", key="a", body=b"x", callback=callback_field(server.url, "op=${operation}")
        )
        assert (await sdk.put_object(request)).callback_result == '{"ok": 1}'
    [call] = await cloud.callbacks()
    assert call["body"] == "op=PutObject"


async def test_headers_of_another_call_have_no_effect(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession
) -> None:
    """ali-oss sends the headers of the object with each call."""
    others = {"x-oss-meta-a": "b", "x-oss-object-acl": "public-read"}
    upload = await Uploading(sdk).start(content_type="video/mp4")
    url = presigned(cloud.oss, "PUT", KEY, {"partNumber": "1", "uploadId": upload.id}, others)
    async with session.put(url, data=PART, headers=others, skip_auto_headers=["Content-Type"]) as answer:
        assert answer.status == 200, await answer.text()
    await upload.complete([(1, etag(PART))])
    [stored] = await cloud.objects("photos")
    assert (stored["headers"], stored["acl"], stored["content_type"]) == ({}, "default", "video/mp4")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<CompleteMultipartUpload>",
        "<CompleteMultipartUpload/>",
        "<Other><Part/></Other>",
        "<CompleteMultipartUpload><Other/></CompleteMultipartUpload>",
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
    ],
)
async def test_a_malformed_list_is_refused(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession, text: str
) -> None:
    upload = await Uploading(sdk).start()
    await upload.put(1)
    url = presigned(cloud.oss, "POST", KEY, {"uploadId": upload.id}, {})
    async with session.post(url, data=text, skip_auto_headers=["Content-Type"]) as answer:
        assert (answer.status, "MalformedXML" in await answer.text()) == (400, True)


async def test_one_of_two_completions_wins(cloud: Cloud, sdk: AsyncClient) -> None:
    upload = await Uploading(sdk).start()
    large = PART * 200
    for number in (1, 2, 3):
        await upload.put(number, large)

    async def complete() -> str:
        """Return the error code; the object exists then."""
        code = ""
        try:
            await upload.complete()
        except oss.exceptions.OperationError as error:
            code = error.unwrap().code
        assert (await upload.head()).content_length == 3 * len(large)
        return code

    assert sorted(await asyncio.gather(complete(), complete())) == ["", "NoSuchUpload"]


async def test_a_part_that_arrives_after_the_end_is_refused(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession
) -> None:
    upload = await Uploading(sdk).start()
    url = presigned(cloud.oss, "PUT", KEY, {"partNumber": "1", "uploadId": upload.id}, {})
    gone = asyncio.Event()

    async def slow_part() -> Any:
        yield PART
        await gone.wait()
        yield PART

    async def send() -> int:
        async with session.put(url, data=slow_part(), skip_auto_headers=["Content-Type"]) as answer:
            return answer.status

    sending = asyncio.create_task(send())

    async def is_received() -> bool:
        return bool((await cloud.counts()).get("oss.UploadPart"))

    await wait_until(is_received)
    await upload.abort()
    gone.set()
    assert await sending == 404


async def test_an_unknown_parameter_or_header_is_not_implemented(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession
) -> None:
    upload = await Uploading(sdk).start()
    for method, query, header in (
        ("POST", {"uploads": "", "sequential": ""}, ""),
        ("POST", {"uploads": ""}, "x-oss-server-side-encryption-key-id"),
        ("PUT", {"partNumber": "1", "uploadId": upload.id}, "x-oss-copy-source"),
        ("PUT", {"partNumber": "1", "uploadId": upload.id}, "x-oss-traffic-limit"),
        ("PUT", {"partNumber": "1", "uploadId": upload.id, "append": ""}, ""),
        ("POST", {"uploadId": upload.id}, "x-oss-request-payer"),
        ("GET", {"uploadId": upload.id, "versionId": "x"}, ""),
        ("DELETE", {"uploadId": upload.id}, "x-oss-request-payer"),
    ):
        headers = {header: "1"} if header else {}
        url = presigned(cloud.oss, method, KEY, query, headers)
        async with session.request(method, url, headers=headers, skip_auto_headers=["Content-Type"]) as answer:
            text = await answer.text()
            assert (answer.status, "<Code>NotImplemented</Code>" in text) == (501, True), text
            assert (header or list(query)[-1]) in text
    assert not (await upload.list()).parts
    assert await cloud.objects("photos") == []


async def test_the_location_is_the_address_of_the_object(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession
) -> None:
    upload = await Uploading(sdk).start()
    await upload.put(1)
    done = await upload.complete(encoding_type="url")
    assert done.key == KEY
    async with session.get(URL(done.location, encoded=True)) as answer:
        assert await answer.read() == PART


async def test_the_encryption_of_an_upload_is_in_its_answers(cloud: Cloud, sdk: AsyncClient) -> None:
    for algorithm, status, code in (("KMS", 501, "NotImplemented"), ("AES", 400, "InvalidEncryptionAlgorithmError")):
        assert (await refused(Uploading(sdk).start(server_side_encryption=algorithm)))[:2] == (status, code)
    upload = await Uploading(sdk).start(server_side_encryption="AES256")
    await upload.put(1)
    done = await upload.complete()
    assert done.headers["x-oss-server-side-encryption"] == "AES256"
    assert (await upload.head()).server_side_encryption == "AES256"
