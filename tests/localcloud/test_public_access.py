"""What a request without a signature may read and write."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient

from tests.harness.local_cloud import Cloud, local_cloud
from tests.localcloud.presigned import presigned


@pytest.fixture
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    async with local_cloud(session, "--bucket", "photos=cn-hangzhou", public_read=False) as running:
        yield running


async def statuses(cloud: Cloud, bucket: str, key: str) -> list[int]:
    """Return the statuses of GET, HEAD and of a list."""
    found = []
    for method, url in (("GET", f"{bucket}/{key}"), ("HEAD", f"{bucket}/{key}"), ("GET", bucket)):
        async with cloud.session.request(method, f"{cloud.oss}/{url}") as answer:
            found.append(answer.status)
    return found


async def test_the_acls_of_object_and_bucket_decide(cloud: Cloud, sdk: AsyncClient) -> None:
    await sdk.put_bucket(oss.PutBucketRequest(bucket="public", acl="public-read"))
    for bucket in ("photos", "public"):
        for acl in ("default", "private", "public-read"):
            await sdk.put_object(oss.PutObjectRequest(bucket=bucket, key=acl, body=b"x", acl=acl))
    assert await statuses(cloud, "photos", "default") == [403, 403, 403]
    assert await statuses(cloud, "photos", "private") == [403, 403, 403]
    assert await statuses(cloud, "photos", "public-read") == [200, 200, 403]
    assert await statuses(cloud, "photos", "nothing") == [403, 403, 403]
    assert await statuses(cloud, "public", "default") == [200, 200, 200]
    assert await statuses(cloud, "public", "private") == [403, 403, 200]
    assert await statuses(cloud, "public", "nothing") == [404, 404, 200]
    await sdk.put_object_acl(oss.PutObjectAclRequest(bucket="photos", key="default", acl="public-read"))
    assert await statuses(cloud, "photos", "default") == [200, 200, 403]


async def test_a_signature_reads_what_is_private(cloud: Cloud, sdk: AsyncClient) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="a", body=b"x"))
    async with cloud.session.get(presigned(cloud.oss, "GET", "a", {}, {})) as answer:
        assert (answer.status, await answer.read()) == (200, b"x")


async def test_a_public_bucket_is_not_public_for_writing(cloud: Cloud, sdk: AsyncClient) -> None:
    await sdk.put_bucket(oss.PutBucketRequest(bucket="public", acl="public-read"))
    async with cloud.session.put(f"{cloud.oss}/public/a", data=b"x") as answer:
        assert answer.status == 403
    assert await cloud.objects("public") == []


async def test_an_object_that_everybody_may_write(cloud: Cloud, sdk: AsyncClient) -> None:
    for acl in ("default", "private", "public-read", "public-read-write"):
        await sdk.put_object(oss.PutObjectRequest(bucket="photos", key=acl, body=b"x", acl=acl))
        status = 200 if acl == "public-read-write" else 403
        async with cloud.session.put(f"{cloud.oss}/photos/{acl}", data=b"y") as answer:
            assert answer.status == status, await answer.text()
    async with cloud.session.put(
        f"{cloud.oss}/photos/public-read-write?acl", headers={"x-oss-object-acl": "private"}
    ) as answer:
        assert answer.status == 403
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="shared", body=b"x", acl="public-read-write"))
    for status in (204, 403):
        async with cloud.session.delete(f"{cloud.oss}/photos/shared") as answer:
            assert answer.status == status, await answer.text()


async def test_a_bucket_that_everybody_may_write_is_not_implemented(cloud: Cloud, sdk: AsyncClient) -> None:
    with pytest.raises(oss.exceptions.OperationError, match="public-read-write"):
        await sdk.put_bucket(oss.PutBucketRequest(bucket="open", acl="public-read-write"))
