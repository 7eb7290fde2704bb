"""ListObjects and ListObjectsV2, with Alibaba's SDK."""

from __future__ import annotations

from typing import Any

import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient

from tests.harness.local_cloud import Cloud
from tests.localcloud.test_bucket_queries import refused
from tests.localcloud.uploading import etag

KEYS = ["a/1", "a/2", "b", "c/x/1", "照 片/&<1"]


@pytest.fixture(autouse=True)
async def stored(sdk: AsyncClient) -> None:
    for key in reversed(KEYS):
        await sdk.put_object(oss.PutObjectRequest(bucket="photos", key=key, body=key.encode()))


async def keys(sdk: AsyncClient, version: int, **members: Any) -> list[list[str]]:
    """Return the keys and common prefixes of each page."""
    found = []
    after: dict[str, str] = {}
    while True:
        if version == 1:
            page = await sdk.list_objects(oss.ListObjectsRequest(bucket="photos", **members, **after))
            after = {"marker": page.next_marker}
        else:
            page = await sdk.list_objects_v2(oss.ListObjectsV2Request(bucket="photos", **members, **after))
            after = {"continuation_token": page.next_continuation_token}
            assert page.key_count == len(page.contents or []) + len(page.common_prefixes or [])
        found.append([each.key for each in page.contents or []] + [each.prefix for each in page.common_prefixes or []])
        if not page.is_truncated:
            return found


@pytest.mark.parametrize("version", [1, 2])
async def test_objects_are_listed_in_pages(cloud: Cloud, sdk: AsyncClient, version: int) -> None:
    assert await keys(sdk, version) == [KEYS]
    assert await keys(sdk, version, max_keys=1) == [[key] for key in KEYS]
    assert await keys(sdk, version, max_keys=3, encoding_type="url") == [KEYS[:3], KEYS[3:]]
    assert await keys(sdk, version, prefix="a/") == [["a/1", "a/2"]]
    assert await keys(sdk, version, delimiter="/") == [["b", "a/", "c/", "照 片/"]]
    assert await keys(sdk, version, delimiter="/", max_keys=1) == [["a/"], ["b"], ["c/"], ["照 片/"]]
    assert await keys(sdk, version, delimiter="/", prefix="c/") == [["c/x/"]]
    assert await keys(sdk, version, prefix="nothing") == [[]]


async def test_the_start_of_a_list(cloud: Cloud, sdk: AsyncClient) -> None:
    assert await keys(sdk, 2, start_after="a/2") == [KEYS[2:]]
    assert await keys(sdk, 2, start_after="a/2", max_keys=2) == [["b", "c/x/1"], ["照 片/&<1"]]
    page = await sdk.list_objects(oss.ListObjectsRequest(bucket="photos", marker="a/2"))
    assert [each.key for each in page.contents] == KEYS[2:]


async def test_an_entry_has_what_oss_writes(cloud: Cloud, sdk: AsyncClient) -> None:
    [entry] = (await sdk.list_objects(oss.ListObjectsRequest(bucket="photos", prefix="b"))).contents
    assert (entry.etag, entry.size, entry.object_type, entry.storage_class) == (etag(b"b"), 1, "Normal", "Standard")
    assert entry.owner.id == "1234567890123456"
    for fetch_owner in (None, True):
        page = await sdk.list_objects_v2(oss.ListObjectsV2Request(bucket="photos", prefix="b", fetch_owner=fetch_owner))
        assert (page.contents[0].owner is not None) is (fetch_owner is True)


@pytest.mark.parametrize("wrong", [{"max_keys": 0}, {"max_keys": 1001}, {"encoding_type": "xml"}])
async def test_invalid_arguments_are_refused(cloud: Cloud, sdk: AsyncClient, wrong: dict[str, Any]) -> None:
    v1, v2 = oss.ListObjectsRequest(bucket="photos", **wrong), oss.ListObjectsV2Request(bucket="photos", **wrong)
    assert (await refused(sdk.list_objects(v1)))[:2] == (400, "InvalidArgument")
    assert (await refused(sdk.list_objects_v2(v2)))[:2] == (400, "InvalidArgument")
