"""ListBuckets, PutBucket and GetBucketAcl, with Alibaba's SDK."""

from __future__ import annotations

import json
from typing import Any

import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient

from tests.harness.local_cloud import Cloud
from tests.localcloud.sdk import assume, key_of
from tests.localcloud.test_bucket_queries import client, refused


async def names(sdk: AsyncClient, **members: Any) -> tuple[list[str], str | None]:
    page = await sdk.list_buckets(oss.ListBucketsRequest(**members))
    return [each.name for each in page.buckets or []], page.next_marker


async def test_the_buckets_of_the_account_are_listed(cloud: Cloud, sdk: AsyncClient) -> None:
    await cloud.create_bucket("albums", "cn-shanghai")
    assert await names(sdk) == (["albums", "photos"], None)
    assert await names(sdk, max_keys=1) == (["albums"], "albums")
    assert await names(sdk, marker="albums") == (["photos"], None)
    assert await names(sdk, prefix="ph") == (["photos"], None)
    [album, _] = (await sdk.list_buckets(oss.ListBucketsRequest())).buckets
    assert (album.location, album.region) == ("oss-cn-shanghai", "cn-shanghai")


async def test_a_bucket_is_created_in_the_region_of_the_signature(cloud: Cloud, sdk: AsyncClient) -> None:
    await sdk.put_bucket(oss.PutBucketRequest(bucket="albums", acl="public-read"))
    await sdk.put_object(oss.PutObjectRequest(bucket="albums", key="a", body=b"x"))
    assert (await sdk.get_bucket_acl(oss.GetBucketAclRequest(bucket="albums"))).acl == "public-read"
    info = (await sdk.get_bucket_info(oss.GetBucketInfoRequest(bucket="albums"))).bucket_info
    assert (info.location, info.acl) == ("oss-cn-hangzhou", "public-read")
    await sdk.put_bucket(oss.PutBucketRequest(bucket="albums", acl="private"))
    assert (await sdk.get_bucket_acl(oss.GetBucketAclRequest(bucket="albums"))).acl == "private"
    assert len(await cloud.objects("albums")) == 1


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({"acl": "everybody"}, 400, "InvalidArgument"),
        (
            {"create_bucket_configuration": oss.CreateBucketConfiguration(storage_class="Archive")},
            501,
            "NotImplemented",
        ),
        ({"resource_group_id": "rg-1"}, 501, "NotImplemented"),
    ],
)
async def test_a_bucket_that_is_refused_is_not_created(
    cloud: Cloud, sdk: AsyncClient, members: dict[str, Any], status: int, code: str
) -> None:
    assert (await refused(sdk.put_bucket(oss.PutBucketRequest(bucket="albums", **members))))[:2] == (status, code)
    assert await names(sdk) == (["photos"], None)


async def test_buckets_need_their_ram_actions(cloud: Cloud, sdk: AsyncClient) -> None:
    statement = {"Effect": "Allow", "Action": "oss:ListBuckets", "Resource": "acs:oss:*:*:*"}
    token = key_of(await assume(cloud, policy=json.dumps({"Version": "1", "Statement": [statement]})))
    async with client(cloud, token) as limited:
        assert await names(limited) == (["photos"], None)
        creating = limited.put_bucket(oss.PutBucketRequest(bucket="albums"))
        assert (await refused(creating))[:2] == (403, "AccessDenied")
    for host, code in (("127.0.0.1", "AccessDenied"), ("files.example.com", "NoSuchBucket")):
        async with cloud.session.get(f"{cloud.oss}/", headers={"Host": host}) as answer:
            assert code in await answer.text()
