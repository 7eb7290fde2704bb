"""Signers end, secrets rotate and the YAML changes during an upload: it continues, or the client gets the reason."""

from __future__ import annotations

import re

import pytest

from tests.harness.local_cloud import Cloud
from tests.multipart.video_signer import CONTENT, NEW_SECRET, PART_BYTES, SECRET, VideoSigner, definitions, video_signer

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_another_signer_continues_an_upload(cloud: Cloud) -> None:
    async with video_signer(cloud, definitions(cloud)) as first:
        upload = await first.start()
        await first.put(upload["parts"][0], CONTENT[:PART_BYTES])
    token = {"upload": upload["upload"]}
    async with video_signer(cloud, definitions(cloud)) as second:
        [listed] = (await second.post("/list", token)).body["parts"]
        assert listed["part_number"] == 1
        signed = (await second.post("/parts", {**token, "part_numbers": [2, 3]})).body["parts"]
        await second.put_all({**upload, "parts": signed})
    async with video_signer(cloud, definitions(cloud)) as third:
        assert (await third.post("/complete", token)).status == 200
        assert await third.cloud.content("videos", upload["key"]) == CONTENT


async def test_a_secret_is_rotated_in_two_steps(videos: VideoSigner) -> None:
    cloud = videos.cloud
    old = await videos.start()
    await videos.redefine(definitions(cloud, secret=f"[{NEW_SECRET}, {SECRET}]"))
    new = await videos.start()
    for upload in (old, new):
        await videos.put_all(upload)
    assert (await videos.post("/complete", {"upload": old["upload"]})).status == 200
    await videos.redefine(definitions(cloud, secret=NEW_SECRET))
    assert (await videos.refusal(409, "/list", {"upload": old["upload"]}))["code"] == "upload_gone"
    assert (await videos.post("/complete", {"upload": new["upload"]})).status == 200


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"bucket": "archive", "domain": "{oss}/archive"}, "the app uses another bucket now; start a new upload"),
        ({"region": "cn-shanghai"}, "the app uses another bucket now; start a new upload"),
        (
            {"multipart": "{part_size: 100KiB, max_size: 200KiB}"},
            "the rules of the app have changed: the file has 256000 bytes; "
            "this app allows at most 204800 in a multipart upload",
        ),
        (
            {"content_types": "[video/webm]"},
            "the rules of the app have changed: it does not allow video/mp4 any more",
        ),
        (
            {"key_prefix": "w/{caller_hash}/"},
            "the rules of the app have changed: its objects have other names now; start a new upload",
        ),
        ({"multipart": "null"}, "this app has no multipart uploads any more; use a form"),
    ],
)
async def test_an_upload_that_the_app_does_not_allow_any_more_is_gone(
    videos: VideoSigner, changes: dict[str, str], detail: str
) -> None:
    upload = await videos.start()
    await videos.put_all(upload)
    changes = {name: value.replace("{oss}", videos.cloud.oss) for name, value in changes.items()}
    await videos.redefine(definitions(videos.cloud, **changes))
    for step, members in (("/parts", {"part_numbers": [1]}), ("/list", {}), ("/complete", {})):
        problem = await videos.refusal(409, step, {"upload": upload["upload"], **members})
        assert (problem["code"], problem["detail"]) == ("upload_gone", detail)
    assert upload["key"] not in await videos.stored()


async def test_an_upload_can_be_aborted_when_no_app_has_multipart_uploads_any_more(videos: VideoSigner) -> None:
    upload = await videos.start()
    text = definitions(videos.cloud, multipart="null").replace(", multipart: {threshold: 1}", "")
    await videos.redefine(text)
    assert (await videos.post("/abort", {"upload": upload["upload"]})).status == 204
    await videos.redefine(definitions(videos.cloud))
    assert (await videos.refusal(409, "/list", {"upload": upload["upload"]}))["detail"].startswith("OSS has no such")


async def test_a_signer_without_a_secret_answers_that_an_upload_is_gone(videos: VideoSigner) -> None:
    upload = await videos.start()
    text = definitions(videos.cloud, multipart="null").replace(", multipart: {threshold: 1}", "")
    await videos.redefine(text.replace("server:", "server: {} #"))
    for step, members in (("/parts", {"part_numbers": [1]}), ("/list", {}), ("/complete", {}), ("/abort", {})):
        problem = await videos.refusal(409, step, {"upload": upload["upload"], **members})
        assert problem["code"] == "upload_gone"


async def test_a_disabled_app_completes_no_upload(videos: VideoSigner) -> None:
    upload = await videos.start()
    await videos.put_all(upload)
    await videos.redefine(definitions(videos.cloud, enabled="false"))
    assert (await videos.refusal(403, "/complete", {"upload": upload["upload"]}))["code"] == "app_disabled"


async def test_other_changes_do_not_disturb_an_upload(videos: VideoSigner) -> None:
    upload = await videos.start()
    changes = {"name": "Videos", "expires": "10m", "content_types": "[video/*]", "rate_limit": "{per_caller: 1/d}"}
    await videos.redefine(definitions(videos.cloud, headers="{x-oss-object-acl: private}", **changes))
    await videos.put_all(upload)
    assert (await videos.post("/complete", {"upload": upload["upload"]})).status == 200
    [stored] = [each for each in await videos.cloud.objects("videos") if each["key"] == upload["key"]]
    assert stored["acl"] == "private"


def definitions_with_tokens(cloud: Cloud) -> str:
    """Return the definitions with a role whose tokens the metadata service issues."""
    static = "{type: static, access_key_id: LTAI-local, access_key_secret: local-secret}"
    return definitions(cloud).replace(static, f"{{type: ecs_ram_role, endpoint: '{cloud.metadata}'}}")


async def test_the_role_of_an_upload_gets_another_token(cloud: Cloud) -> None:
    async with video_signer(cloud, definitions_with_tokens(cloud)) as videos:
        upload = await videos.start()
        first = upload["parts"][0]
        token = re.search("x-oss-security-token=([^&]+)", first["url"])
        assert token is not None
        await cloud.set_faults(oss={"kind": "revoked"})
        assert (await videos.put(first, CONTENT[:PART_BYTES]))[0] == 403
        await cloud.set_faults(metadata={"kind": "status", "status": 503})
        problem = await videos.refusal(503, "/list", {"upload": upload["upload"]})
        assert problem["code"] == "oss_unavailable"
        problem = await videos.refusal(503, "/parts", {"upload": upload["upload"], "part_numbers": [1]})
        assert problem["code"] == "credentials_unavailable", "a revoked token is not used any more"
        await cloud.set_faults()
        await videos.service.credentials.replace_tokens(None, keep=False, timeout_seconds=30)
        numbers = [1, 2, 3]
        signed = (await videos.post("/parts", {"upload": upload["upload"], "part_numbers": numbers})).body["parts"]
        assert token[1] not in signed[0]["url"]
        await videos.put_all({**upload, "parts": signed})
        assert (await videos.post("/complete", {"upload": upload["upload"]})).status == 200


async def test_requests_during_a_refusal_of_every_token_do_not_each_fetch_one(cloud: Cloud) -> None:
    async with video_signer(cloud, definitions_with_tokens(cloud)) as videos:
        upload = await videos.start()
        before = (await cloud.counts())["metadata.credentials"]
        for _ in range(10):
            await cloud.set_faults(oss={"kind": "revoked"})
            await videos.post("/list", {"upload": upload["upload"]})
        await cloud.set_faults()
        assert (await cloud.counts())["metadata.credentials"] <= before + 1
