"""Multipart uploads by clients that others wrote: the uploader of alibabacloud-oss-v2, and ali-oss for Node.js."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest

from tests.callers.stub import document, stub
from tests.harness.local_cloud import Cloud
from tests.harness.npm import install_packages
from tests.harness.processes import run
from tests.localcloud.forms import Key
from tests.localcloud.sdk import assume, key_of

pytestmark = pytest.mark.slow

ORACLE = Path(__file__).parents[1] / "oracle"
KEY = "视频/a b+c.mp4"
PART_BYTES = 100 * 1024
CONTENT = os.urandom(4 * PART_BYTES + 1)
PARTS = [CONTENT[start : start + PART_BYTES] for start in range(0, len(CONTENT), PART_BYTES)]
ETAG = f'"{md5(b"".join(md5(part).digest() for part in PARTS)).hexdigest().upper()}-5"'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "video.mp4"
    file.write_bytes(CONTENT)
    return file


def sdk(cloud: Cloud) -> oss.Client:
    provider = oss.credentials.StaticCredentialsProvider("LTAI-local", "local-secret")
    return oss.Client(
        oss.Config(region="cn-hangzhou", endpoint=cloud.oss, credentials_provider=provider, retry_max_attempts=1)
    )


def upload_file(
    cloud: Cloud, file: Path, progress: Callable[[int, int, int], None] | None = None, **options: Any
) -> Any:
    uploader = sdk(cloud).uploader(part_size=PART_BYTES, **options)
    request = oss.PutObjectRequest(
        bucket="photos", key=KEY, metadata={"team": "a"}, acl="private", progress_fn=progress
    )
    return uploader.upload_file(request, str(file))


async def test_the_uploader_of_the_sdk(cloud: Cloud, file: Path) -> None:
    """It compares the CRC-64 of the answer with its own."""
    done = await asyncio.to_thread(upload_file, cloud, file, parallel_num=3)
    assert done.etag == ETAG
    assert await cloud.content("photos", KEY) == CONTENT
    [stored] = await cloud.objects("photos")
    assert (stored["headers"], stored["content_type"], stored["acl"]) == (
        {"x-oss-meta-team": "a"},
        "video/mp4",
        "private",
    )


async def test_the_uploader_of_the_sdk_resumes_from_its_checkpoint(cloud: Cloud, file: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"parallel_num": 1, "enable_checkpoint": True, "checkpoint_dir": str(tmp_path)}

    def stop(_part: int, sent: int, _total: int) -> None:
        if sent == 2 * PART_BYTES:
            raise KeyError("the program ends")

    with pytest.raises(KeyError, match="the program ends"):
        await asyncio.to_thread(upload_file, cloud, file, stop, **options)
    done = await asyncio.to_thread(upload_file, cloud, file, **options)
    assert done.etag == ETAG
    assert await cloud.content("photos", KEY) == CONTENT
    counts = await cloud.counts()
    assert (counts["oss.InitiateMultipartUpload"], counts["oss.UploadPart"]) == (1, len(PARTS))


async def ali_oss(cloud: Cloud, scenario: str, file: Path, key: Key = Key(), **options: Any) -> Any:  # noqa: B008
    await install_packages(ORACLE)
    given = {
        "endpoint": cloud.oss,
        "bucket": "photos",
        "file": str(file),
        "key": KEY,
        "partSize": PART_BYTES,
        "credentials": {"accessKeyId": key.id, "accessKeySecret": key.secret, "stsToken": key.token},
        **options,
    }
    result = await run("node", ORACLE / "multipart.cjs", scenario, stdin=json.dumps(given))
    assert result.status == 0, result.err
    return json.loads(result.out)


async def test_ali_oss_uploads_with_a_callback(cloud: Cloud, file: Path) -> None:
    async with stub(document({"stored": True})) as server:
        callback = {
            "url": server.url,
            "body": "key=${object}&size=${size}&mine=${x:mine}",
            "contentType": "application/x-www-form-urlencoded",
            "customValue": {"mine": "照"},
        }
        token = key_of(await assume(cloud))
        found = await ali_oss(cloud, "upload", file, token, callback=callback)
    assert found == {"etag": ETAG, "data": {"stored": True}}
    [call] = await cloud.callbacks()
    assert call["body"] == f"key=%E8%A7%86%E9%A2%91%2Fa%20b%2Bc.mp4&size={len(CONTENT)}&mine=%E7%85%A7"
    assert await cloud.content("photos", KEY) == CONTENT
    [stored] = await cloud.objects("photos")
    assert (stored["content_type"], stored["storage_class"], stored["acl"]) == ("video/mp4", "IA", "public-read")
    assert stored["headers"] == {"cache-control": "no-store", "x-oss-meta-team": "a"}


async def test_ali_oss_resumes_from_its_checkpoint(cloud: Cloud, file: Path) -> None:
    assert await ali_oss(cloud, "resume", file) == {
        "interrupted": "cancel",
        "uploads": [[KEY, True]],
        "parts": [[1, PART_BYTES], [2, PART_BYTES]],
        "sent": [3, 4, 5],
        "etag": ETAG,
    }
    assert await cloud.content("photos", KEY) == CONTENT


async def test_ali_oss_aborts(cloud: Cloud, file: Path) -> None:
    assert await ali_oss(cloud, "abort", file) == {"status": 204, "uploads": [], "refused": [404, "NoSuchUpload"]}
