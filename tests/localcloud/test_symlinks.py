"""PutSymlink, GetSymlink, and what reads through a link, with Alibaba's SDK."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient

from tests.harness.local_cloud import Cloud, local_cloud
from tests.localcloud.presigned import presigned
from tests.localcloud.sdk import assume, key_of
from tests.localcloud.test_bucket_queries import client, refused

TARGET = "照片/a b+c.txt"


def link(key: str = "link", target: str = TARGET, **members: Any) -> oss.PutSymlinkRequest:
    return oss.PutSymlinkRequest(bucket="photos", key=key, symlink_target=target, **members)


def named(key: str = "link") -> dict[str, str]:
    return {"bucket": "photos", "key": key}


async def put(sdk: AsyncClient, key: str = TARGET, body: bytes = b"hello", **members: Any) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key=key, body=body, **members))


async def test_a_link_reads_as_its_target_with_its_own_metadata(cloud: Cloud, sdk: AsyncClient) -> None:
    await put(sdk, metadata={"team": "of the target"}, content_type="text/x")
    await sdk.put_symlink(link(metadata={"team": "of the link"}))
    assert unquote((await sdk.get_symlink(oss.GetSymlinkRequest(**named()))).target) == TARGET
    got = await sdk.get_object(oss.GetObjectRequest(**named()))
    assert await got.body.read() == b"hello"
    head = await sdk.head_object(oss.HeadObjectRequest(**named()))
    target = await sdk.head_object(oss.HeadObjectRequest(**named(TARGET)))
    assert (head.etag, head.content_length, head.hash_crc64) == (target.etag, 5, target.hash_crc64)
    assert (head.object_type, dict(head.metadata)) == ("Symlink", {"team": "of the link"})
    ranged = await sdk.get_object(oss.GetObjectRequest(**named(), range_header="bytes=1-2"))
    assert await ranged.body.read() == b"el"


async def test_the_target_is_looked_up_when_the_link_is_read(cloud: Cloud, sdk: AsyncClient) -> None:
    await sdk.put_symlink(link(target="later"))
    assert (await refused(sdk.get_object(oss.GetObjectRequest(**named()))))[1] == "SymlinkTargetNotExist"
    await put(sdk, "later", b"now")
    assert await (await sdk.get_object(oss.GetObjectRequest(**named()))).body.read() == b"now"
    await sdk.put_symlink(link("link of a link", "link"))
    error = await refused(sdk.get_object(oss.GetObjectRequest(**named("link of a link"))))
    assert error[:2] == (400, "InvalidTargetType")


async def test_a_reader_of_the_link_needs_the_permission_for_its_target(cloud: Cloud, sdk: AsyncClient) -> None:
    await put(sdk, "bob/secret", b"of bob")
    policy = {
        "Version": "1",
        "Statement": [
            {"Effect": "Allow", "Action": ["oss:PutObject", "oss:GetObject"], "Resource": "acs:oss:*:*:photos/ann/*"}
        ],
    }
    key = key_of(await assume(cloud, policy=json.dumps(policy)))
    async with client(cloud, key) as ann:
        await put(ann, "ann/own", b"of ann")
        await ann.put_symlink(link("ann/to-bob", "bob/secret"))
        await ann.put_symlink(link("ann/to-ann", "ann/own"))
        assert await (await ann.get_object(oss.GetObjectRequest(**named("ann/to-ann")))).body.read() == b"of ann"
        for reading in (
            ann.get_object(oss.GetObjectRequest(**named("ann/to-bob"))),
            ann.head_object(oss.HeadObjectRequest(**named("ann/to-bob"))),
        ):
            assert (await refused(reading))[0] == 403
        assert (await refused(ann.put_symlink(link("bob/from-ann", "ann/own"))))[1] == "AccessDenied"
    # The account itself may read both.
    assert await (await sdk.get_object(oss.GetObjectRequest(**named("ann/to-bob")))).body.read() == b"of bob"


async def test_anyone_needs_both_link_and_target_to_be_public(session: aiohttp.ClientSession) -> None:
    async with local_cloud(session, "--bucket", "photos=cn-hangzhou", public_read=False) as cloud:
        provider = oss.credentials.StaticCredentialsProvider("LTAI-local", "local-secret")
        config = oss.Config(region="cn-hangzhou", endpoint=cloud.oss, credentials_provider=provider)
        async with AsyncClient(config) as sdk:
            await put(sdk, "private")
            await put(sdk, "public", acl="public-read")
            statuses = {}
            for target in ("private", "public"):
                for acl in ("private", "public-read"):
                    await sdk.put_symlink(link(f"{target} {acl}", target, acl=acl))
                    async with session.get(f"{cloud.oss}/photos/{target} {acl}") as response:
                        statuses[target, acl] = response.status
    assert statuses == {
        ("private", "private"): 403,
        ("private", "public-read"): 403,
        ("public", "private"): 403,
        ("public", "public-read"): 200,
    }


@pytest.mark.parametrize(
    ("method", "key", "headers", "status", "code"),
    [
        ("PUT", "link", {}, 400, "InvalidArgument"),
        ("PUT", TARGET, {"x-oss-symlink-target": "b", "x-oss-forbid-overwrite": "true"}, 409, "FileAlreadyExists"),
        ("PUT", "link", {"x-oss-symlink-target": "/b"}, 400, "InvalidObjectName"),
        ("GET", "nothing", {}, 404, "NoSuchKey"),
        ("GET", TARGET, {}, 400, "NotSymlink"),
    ],
)
async def test_what_oss_refuses(
    cloud: Cloud,
    sdk: AsyncClient,
    session: aiohttp.ClientSession,
    method: str,
    key: str,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    await put(sdk)
    url = presigned(cloud.oss, method, key, {"symlink": ""}, headers)
    async with session.request(method, url, headers=headers, skip_auto_headers=["Content-Type"]) as response:
        assert response.status == status
        assert f"<Code>{code}</Code>" in await response.text()
