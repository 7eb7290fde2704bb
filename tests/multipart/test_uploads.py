"""A file is sent to OSS in parts and becomes one object, with the rules of the app."""

from __future__ import annotations

import asyncio

import alibabacloud_oss_v2 as oss
import pytest
from yarl import URL

from signer.signing.upload_token import UploadTokens
from tests.harness.local_cloud import Cloud
from tests.multipart.video_signer import CONTENT, PART_BYTES, SECRET, VideoSigner, definitions, names, video_signer

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_file_becomes_an_object_byte_for_byte(videos: VideoSigner) -> None:
    upload = await videos.start(meta={"team": "a"})
    assert set(upload) == {"upload", "key", "part_size", "part_count", "parts", "expires_at"}
    assert names(upload["parts"]) == [(1, PART_BYTES), (2, PART_BYTES), (3, len(CONTENT) - 2 * PART_BYTES)]
    assert all(part["headers"] == {"Content-Type": "application/octet-stream"} for part in upload["parts"])
    named = await videos.put_all(upload)
    done = await videos.post("/complete", {"upload": upload["upload"], "parts": named})
    assert done.status == 200, done.body
    assert set(done.body) == {"key", "url", "etag", "size"}
    assert (done.body["key"], done.body["size"]) == (upload["key"], len(CONTENT))
    assert await videos.cloud.content("videos", upload["key"]) == CONTENT
    [stored] = [each for each in await videos.cloud.objects("videos") if each["key"] == upload["key"]]
    assert (stored["content_type"], stored["etag"], stored["acl"]) == ("video/mp4", done.body["etag"], "default")
    assert stored["storage_class"] == "Standard"
    assert stored["headers"]["x-oss-meta-team"] == "a"


async def test_parts_are_listed_and_signed_again(videos: VideoSigner) -> None:
    upload = await videos.start()
    token = {"upload": upload["upload"]}
    assert (await videos.post("/list", token)).body == {"parts": []}
    first, _, last = upload["parts"]
    _, etag = await videos.put(last, CONTENT[2 * PART_BYTES :])
    listed = (await videos.post("/list", token)).body["parts"]
    assert listed == [{"part_number": 3, "size": len(CONTENT) - 2 * PART_BYTES, "etag": etag}]
    again = (await videos.post("/parts", {**token, "part_numbers": [2, 1]})).body["parts"]
    assert names(again) == [(2, PART_BYTES), (1, PART_BYTES)]
    for part in again:
        start = (part["part_number"] - 1) * PART_BYTES
        assert (await videos.put(part, CONTENT[start : start + PART_BYTES]))[0] == 200
    assert (await videos.put(first, CONTENT[:PART_BYTES]))[0] == 200
    assert (await videos.post("/complete", token)).status == 200
    assert await videos.cloud.content("videos", upload["key"]) == CONTENT


async def test_all_parts_are_listed_although_oss_lists_1000_at_a_time(videos: VideoSigner) -> None:
    count = 1002
    await videos.redefine(definitions(videos.cloud, multipart="{part_size: 100KiB, max_size: 1GiB}"))
    upload = await videos.start(size=count * PART_BYTES)
    upload_id = UploadTokens([SECRET]).decode(upload["upload"], app_id="video", caller="ann").upload_id
    async with videos.sdk() as client:
        for first in range(1, count + 1, 167):
            requests = [
                oss.UploadPartRequest("videos", upload["key"], number, upload_id, body=b"x")
                for number in range(first, first + 167)
            ]
            await asyncio.gather(*map(client.upload_part, requests))
    listed = (await videos.post("/list", {"upload": upload["upload"]})).body["parts"]
    assert [part["part_number"] for part in listed] == list(range(1, count + 1))


async def test_an_aborted_upload_is_deleted(videos: VideoSigner) -> None:
    upload = await videos.start()
    await videos.put_all(upload)
    token = {"upload": upload["upload"]}
    for _ in range(2):
        assert (await videos.post("/abort", token)).status == 204
    for step in ("/list", "/complete"):
        assert (await videos.refusal(409, step, token))["code"] == "upload_gone"
    assert upload["key"] not in await videos.stored()


async def test_a_repeated_completion_finds_the_object(videos: VideoSigner) -> None:
    upload = await videos.start()
    await videos.put_all(upload)
    first = await videos.post("/complete", {"upload": upload["upload"]})
    again = await videos.post("/complete", {"upload": upload["upload"]})
    assert (first.status, again.status) == (200, 200)
    assert again.body == first.body


async def test_completions_at_the_same_time_find_the_object_that_one_of_them_made(videos: VideoSigner) -> None:
    for _ in range(20):
        upload = await videos.start()
        await videos.put_all(upload)
        done = await asyncio.gather(*(videos.post("/complete", {"upload": upload["upload"]}) for _ in range(4)))
        assert [response.status for response in done] == [200] * 4, done
        assert len({response.body["etag"] for response in done}) == 1


async def test_a_completion_and_an_abort_at_the_same_time_agree(videos: VideoSigner) -> None:
    for _ in range(20):
        upload = await videos.start()
        await videos.put_all(upload)
        token = {"upload": upload["upload"]}
        done, aborted = await asyncio.gather(videos.post("/complete", token), videos.post("/abort", token))
        assert aborted.status == 204
        assert done.status in (200, 409)
        assert (upload["key"] in await videos.stored()) == (done.status == 200)


async def test_a_repeated_completion_does_not_return_another_object_as_its_own(cloud: Cloud) -> None:
    async with video_signer(cloud, definitions(cloud, key='"{stem}.{ext}"')) as videos:
        uploads = [await videos.start(filename="same.mp4") for _ in range(2)]
        for upload in uploads:
            await videos.put_all(upload)
            assert (await videos.post("/complete", {"upload": upload["upload"]})).status == 200
        assert uploads[0]["key"] == uploads[1]["key"]
        problem = await videos.refusal(409, "/complete", {"upload": uploads[0]["upload"]})
        assert problem["code"] == "upload_gone"


async def test_a_proposed_part_size_is_kept_within_the_limits_of_oss(videos: VideoSigner) -> None:
    assert (await videos.start(part_size=1))["part_size"] == PART_BYTES
    chosen = await videos.start(part_size=200_000)
    assert (chosen["part_size"], chosen["part_count"]) == (200_000, 2)
    assert (await videos.start(part_size=2**53))["part_count"] == 1


async def test_the_first_parts_are_few(videos: VideoSigner) -> None:
    upload = await videos.start(size=10 * PART_BYTES)
    assert (len(upload["parts"]), upload["part_count"]) == (8, 10)


async def test_a_form_has_the_size_from_which_parts_are_better(videos: VideoSigner) -> None:
    headers = {"X-Api-Key": "the-key-of-the-shop", "X-Caller": "ann"}
    async with videos.client.post("/v1/apps/other/uploads", headers=headers) as response:
        assert (await response.json())["multipart_threshold"] == 1
    async with videos.client.post("/v1/apps/forms/uploads", headers=headers) as response:
        assert "multipart_threshold" not in await response.json()
    body = {"content_type": "video/mp4"}
    async with videos.client.post("/v1/apps/video/uploads", headers=headers, json=body) as response:
        assert (await response.json())["multipart_threshold"] == 64 * 1024 + 1
    await videos.redefine(definitions(videos.cloud, multipart="{threshold: 0}"))
    async with videos.client.post("/v1/apps/video/uploads", headers=headers, json=body) as response:
        assert (await response.json())["multipart_threshold"] == 1, "an empty file has no parts"


async def test_an_upload_through_a_domain_of_the_bucket(cloud: Cloud) -> None:
    async with cloud.session.put(f"{cloud.oss}/-/domains/localhost", json={"bucket": "videos"}) as response:
        assert response.status == 200
    domain = f"http://localhost:{URL(cloud.oss).port}"
    try:
        async with video_signer(cloud, definitions(cloud, domain=domain)) as videos:
            upload, aborted = [await videos.start() for _ in range(2)]
            assert upload["parts"][0]["url"].startswith(f"{domain}/v/")
            named = await videos.put_all(upload)
            for _ in range(2):
                done = await videos.post("/complete", {"upload": upload["upload"], "parts": named})
                assert (done.status, done.body["url"]) == (200, f"{domain}/{upload['key']}")
            assert (await videos.post("/abort", {"upload": aborted["upload"]})).status == 204
            assert await cloud.content("videos", upload["key"]) == CONTENT
    finally:
        async with cloud.session.put(f"{cloud.oss}/-/domains/localhost", json={"bucket": None}) as response:
            assert response.status == 200
