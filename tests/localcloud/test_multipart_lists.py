"""ListMultipartUploads."""

from __future__ import annotations

from urllib.parse import unquote
from xml.etree import ElementTree

import alibabacloud_oss_v2 as oss
from alibabacloud_oss_v2.aio import AsyncClient

from tests.harness.local_cloud import Cloud
from tests.localcloud.presigned import presigned
from tests.localcloud.test_bucket_queries import refused
from tests.localcloud.uploading import PART, Uploading


async def pages(cloud: Cloud, **members: str) -> list[list[str]]:
    """Return the keys and common prefixes of each page. The SDK does not return common prefixes."""
    found = []
    given = {name.replace("_", "-"): value for name, value in members.items()}
    decode = unquote if "encoding-type" in given else str
    while True:
        url = presigned(cloud.oss, "GET", "", {"uploads": "", **given}, {})
        async with cloud.session.get(url) as answer:
            assert answer.status == 200, await answer.text()
            page = ElementTree.fromstring(await answer.text())
        tags = [*page.findall("Upload/Key"), *page.findall("CommonPrefixes/Prefix")]
        found.append([decode(tag.text or "") for tag in tags])
        after = [page.findtext("NextKeyMarker") or "", page.findtext("NextUploadIdMarker") or ""]
        if page.findtext("IsTruncated") == "false":
            assert after == ["", ""]
            return found
        given |= {"key-marker": decode(after[0]), "upload-id-marker": after[1]}


async def test_uploads_are_listed_in_pages_by_key_and_age(cloud: Cloud, sdk: AsyncClient) -> None:
    assert await pages(cloud) == [[]]
    for key in ("b", "a/2", "a/1", "c/x/1", "a/1", "照 片/&<1"):
        await Uploading(sdk, key).start()
    everything = ["a/1", "a/1", "a/2", "b", "c/x/1", "照 片/&<1"]
    assert await pages(cloud) == [everything]
    assert await pages(cloud, max_uploads="1") == [[key] for key in everything]
    assert await pages(cloud, max_uploads="4", encoding_type="url") == [everything[:4], everything[4:]]
    assert await pages(cloud, prefix="a/") == [["a/1", "a/1", "a/2"]]
    assert await pages(cloud, delimiter="/") == [["b", "a/", "c/", "照 片/"]]
    assert await pages(cloud, delimiter="/", max_uploads="1") == [["a/"], ["b"], ["c/"], ["照 片/"]]
    assert await pages(cloud, delimiter="/", prefix="c/") == [["c/x/"]]
    assert await pages(cloud, key_marker="a/1") == [["a/2", "b", "c/x/1", "照 片/&<1"]]
    assert await pages(cloud, upload_id_marker="0") == [everything]


async def test_two_uploads_to_a_key_are_independent(cloud: Cloud, sdk: AsyncClient) -> None:
    first, second = await Uploading(sdk, "a").start(), await Uploading(sdk, "a").start()
    await first.put(1)
    await second.put(1, PART[::-1])
    await first.complete()
    assert await cloud.content("photos", "a") == PART
    [left] = (await sdk.list_multipart_uploads(oss.ListMultipartUploadsRequest(bucket="photos"))).uploads
    assert left.upload_id == second.id
    assert left.initiated is not None
    await second.complete()
    assert await cloud.content("photos", "a") == PART[::-1]
    assert await pages(cloud) == [[]]


async def test_invalid_arguments_are_refused(cloud: Cloud, sdk: AsyncClient) -> None:
    for wrong in ({"max_uploads": 0}, {"max_uploads": 1001}, {"encoding_type": "xml"}):
        request = oss.ListMultipartUploadsRequest(bucket="photos", **wrong)
        assert (await refused(sdk.list_multipart_uploads(request)))[:2] == (400, "InvalidArgument")
