"""CopyObject, AppendObject, DeleteMultipleObjects, ACLs, tags and GetObjectMeta, with Alibaba's SDK."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient

from tests.harness.local_cloud import Cloud, local_cloud
from tests.localcloud.forms import Key
from tests.localcloud.presigned import presigned
from tests.localcloud.sdk import assume, key_of
from tests.localcloud.test_bucket_queries import client, refused
from tests.localcloud.uploading import etag

SOURCE = "照片/a b+c.txt"


@pytest.fixture(autouse=True)
async def stored(sdk: AsyncClient) -> None:
    await sdk.put_object(
        oss.PutObjectRequest(
            bucket="photos",
            key=SOURCE,
            body=b"hello",
            content_type="text/x",
            metadata={"team": "a"},
            acl="public-read",
            storage_class="IA",
            tagging="a=1&b=%2B",
        )
    )


def copying(**members: Any) -> oss.CopyObjectRequest:
    given = {"bucket": "photos", "key": "copy", "source_key": SOURCE, **members}
    return oss.CopyObjectRequest(**given)


def named(bucket: str = "photos", key: str = SOURCE) -> dict[str, str]:
    return {"bucket": bucket, "key": key}


async def test_a_copy_has_content_metadata_and_tags_of_its_source(cloud: Cloud, sdk: AsyncClient) -> None:
    copied = await sdk.copy_object(copying())
    assert copied.etag == etag(b"hello")
    assert await cloud.content("photos", "copy") == await cloud.content("photos", SOURCE) == b"hello"
    copy, _ = await cloud.objects("photos")
    assert (copy["content_type"], copy["headers"], copy["tags"]) == (
        "text/x",
        {"x-oss-meta-team": "a"},
        {"a": "1", "b": "+"},
    )
    assert (copy["acl"], copy["storage_class"]) == ("default", "IA")


async def test_a_copy_can_have_other_metadata(cloud: Cloud, sdk: AsyncClient) -> None:
    await cloud.create_bucket("other")
    await sdk.copy_object(
        copying(
            bucket="other",
            source_bucket="photos",
            metadata_directive="REPLACE",
            metadata={"team": "b"},
            content_type="text/y",
            tagging_directive="REPLACE",
            tagging="c=2",
            acl="private",
            storage_class="Standard",
        )
    )
    [copy] = await cloud.objects("other")
    assert (copy["content_type"], copy["headers"], copy["tags"]) == ("text/y", {"x-oss-meta-team": "b"}, {"c": "2"})
    assert (copy["acl"], copy["storage_class"]) == ("private", "Standard")


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({"source_key": "nothing"}, 404, "NoSuchKey"),
        ({"source_bucket": "nobodys"}, 404, "NoSuchBucket"),
        ({"if_match": '"other"'}, 412, "PreconditionFailed"),
        ({"if_none_match": etag(b"hello")}, 304, ""),
        ({"if_unmodified_since": "Wed, 01 Jan 2020 00:00:00 GMT"}, 412, "PreconditionFailed"),
        ({"metadata_directive": "MERGE"}, 400, "InvalidArgument"),
        ({"source_version_id": "1"}, 501, "NotImplemented"),
        ({"key": SOURCE, "forbid_overwrite": True}, 409, "FileAlreadyExists"),
    ],
)
async def test_a_copy_that_is_refused_changes_nothing(
    cloud: Cloud, sdk: AsyncClient, members: dict[str, Any], status: int, code: str
) -> None:
    found = await refused(sdk.copy_object(copying(**members)))
    assert found[0] == status
    assert code in found[1]
    assert [each["key"] for each in await cloud.objects("photos")] == [SOURCE]


async def test_a_copy_needs_permission_to_read_its_source(cloud: Cloud, sdk: AsyncClient) -> None:
    statement = {"Effect": "Allow", "Action": "oss:PutObject", "Resource": "acs:oss:*:*:photos/*"}
    token = key_of(await assume(cloud, policy=json.dumps({"Version": "1", "Statement": [statement]})))
    async with client(cloud, token) as limited:
        assert (await refused(limited.copy_object(copying())))[:2] == (403, "AccessDenied")


async def test_metadata_is_changed_by_a_copy_onto_itself(cloud: Cloud, sdk: AsyncClient) -> None:
    await sdk.copy_object(copying(key=SOURCE, metadata_directive="REPLACE", metadata={"team": "b"}))
    head = await sdk.head_object(oss.HeadObjectRequest(**named()))
    assert (head.metadata, head.content_length) == ({"team": "b"}, 5)


async def test_data_is_appended_at_the_end_only(cloud: Cloud, sdk: AsyncClient) -> None:
    def appending(position: int, body: bytes, key: str = "log") -> Any:
        return sdk.append_object(
            oss.AppendObjectRequest(bucket="photos", key=key, position=position, body=body, content_type="text/x")
        )

    assert (await appending(0, b"abc")).next_position == 3
    again = await appending(3, b"de")
    assert again.next_position == 5
    assert await cloud.content("photos", "log") == b"abcde"
    head = await sdk.head_object(oss.HeadObjectRequest(**named(key="log")))
    assert (head.object_type, head.next_append_position, head.content_type) == ("Appendable", 5, "text/x")
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="whole", body=b"abcde"))
    whole = await sdk.head_object(oss.HeadObjectRequest(**named(key="whole")))
    assert head.hash_crc64 == again.hash_crc64 == whole.hash_crc64
    assert (await refused(appending(0, b"x")))[:2] == (409, "PositionNotEqualToLength")
    assert (await refused(appending(5, b"x", SOURCE)))[:2] == (409, "ObjectNotAppendable")
    assert await cloud.content("photos", "log") == b"abcde"


async def test_many_objects_are_deleted_at_once(cloud: Cloud, sdk: AsyncClient) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="other", body=b""))
    objects = [oss.DeleteObject(key=SOURCE), oss.DeleteObject(key="nothing")]
    done = await sdk.delete_multiple_objects(
        oss.DeleteMultipleObjectsRequest(bucket="photos", objects=objects, encoding_type="url")
    )
    assert [each.key for each in done.deleted_objects] == [SOURCE, "nothing"]
    assert [each["key"] for each in await cloud.objects("photos")] == ["other"]
    quiet = oss.DeleteMultipleObjectsRequest(bucket="photos", objects=[oss.DeleteObject(key="other")], quiet=True)
    assert not (await sdk.delete_multiple_objects(quiet)).deleted_objects
    assert await cloud.objects("photos") == []


async def test_each_deletion_needs_its_permission(cloud: Cloud, sdk: AsyncClient) -> None:
    statement = {
        "Effect": "Allow",
        "Action": "oss:DeleteObject",
        "Resource": ["acs:oss:*:*:photos", "acs:oss:*:*:photos/x/*"],
    }
    token = key_of(await assume(cloud, policy=json.dumps({"Version": "1", "Statement": [statement]})))
    objects = [oss.DeleteObject(key="x/1"), oss.DeleteObject(key=SOURCE)]
    async with client(cloud, token) as limited:
        request = oss.DeleteMultipleObjectsRequest(bucket="photos", objects=objects)
        assert (await refused(limited.delete_multiple_objects(request)))[:2] == (403, "AccessDenied")
    assert len(await cloud.objects("photos")) == 1


@pytest.mark.parametrize(
    ("body", "md5", "status", "code"),
    [
        ("<Delete/>", True, 400, "MalformedXML"),
        ("<Delete><Object><Key></Key></Object></Delete>", True, 400, "MalformedXML"),
        ("<Delete><Object><Key>/a</Key></Object></Delete>", True, 400, "InvalidObjectName"),
        ("<Delete><Quiet>maybe</Quiet><Object><Key>a</Key></Object></Delete>", True, 400, "MalformedXML"),
        ("<Delete><Unknown/><Object><Key>a</Key></Object></Delete>", True, 400, "MalformedXML"),
        ("<Delete><Object><Key>a</Key><VersionId>1</VersionId></Object></Delete>", True, 501, "VersionId"),
        ("<Delete><Object><Key>a</Key></Object></Delete>", False, 400, "MissingArgument"),
    ],
)
async def test_an_invalid_deletion_is_refused(
    cloud: Cloud, session: aiohttp.ClientSession, body: str, md5: bool, status: int, code: str
) -> None:
    digest = base64.b64encode(hashlib.md5(body.encode()).digest()).decode()
    headers = {"content-md5": digest} if md5 else {}
    url = presigned(cloud.oss, "POST", "", {"delete": ""}, headers)
    async with session.post(url, data=body, headers=headers, skip_auto_headers=["Content-Type"]) as answer:
        assert (answer.status, code in await answer.text()) == (status, True)


async def test_the_acl_of_an_object(cloud: Cloud, sdk: AsyncClient) -> None:
    get = oss.GetObjectAclRequest(**named())
    assert (await sdk.get_object_acl(get)).acl == "public-read"
    await sdk.put_object_acl(oss.PutObjectAclRequest(**named(), acl="private"))
    assert (await sdk.get_object_acl(get)).acl == "private"
    assert await cloud.content("photos", SOURCE) == b"hello"
    wrong = oss.PutObjectAclRequest(**named(), acl="everybody")
    assert (await refused(sdk.put_object_acl(wrong)))[:2] == (400, "InvalidArgument")
    missing = oss.PutObjectAclRequest(**named(key="nothing"), acl="private")
    assert (await refused(sdk.put_object_acl(missing)))[:2] == (404, "NoSuchKey")


async def test_the_tags_of_an_object(cloud: Cloud, sdk: AsyncClient) -> None:
    async def tags() -> dict[str, str]:
        found = await sdk.get_object_tagging(oss.GetObjectTaggingRequest(**named()))
        return {tag.key: tag.value for tag in found.tag_set.tags or []}

    def tagging(*pairs: tuple[str, str]) -> Any:
        listed = [oss.Tag(key=name, value=value) for name, value in pairs]
        body = oss.Tagging(tag_set=oss.TagSet(tags=listed))
        return sdk.put_object_tagging(oss.PutObjectTaggingRequest(**named(), tagging=body))

    assert await tags() == {"a": "1", "b": "+"}
    head = await sdk.head_object(oss.HeadObjectRequest(**named()))
    assert head.headers["x-oss-tagging-count"] == "2"
    await tagging(("team", "x y"))
    assert await tags() == {"team": "x y"}
    assert await cloud.content("photos", SOURCE) == b"hello"
    for wrong in ([("a", "1"), ("a", "2")], [("", "1")], [(str(n), "") for n in range(11)], [("a" * 129, "")]):
        assert (await refused(tagging(*wrong)))[:2] == (400, "InvalidTag")
    await sdk.delete_object_tagging(oss.DeleteObjectTaggingRequest(**named()))
    assert await tags() == {}


async def test_tags_need_their_permission(cloud: Cloud, sdk: AsyncClient) -> None:
    statement = {"Effect": "Allow", "Action": "oss:PutObject", "Resource": "acs:oss:*:*:photos/*"}
    token = key_of(await assume(cloud, policy=json.dumps({"Version": "1", "Statement": [statement]})))
    put = {"bucket": "photos", "key": "other", "body": b"x"}
    async with client(cloud, token) as limited:
        with_tags = limited.put_object(oss.PutObjectRequest(**put, tagging="a=1"))
        assert (await refused(with_tags))[:2] == (403, "AccessDenied")
        await limited.put_object(oss.PutObjectRequest(**put))


async def test_the_meta_of_an_object_is_short(cloud: Cloud, sdk: AsyncClient) -> None:
    meta = await sdk.get_object_meta(oss.GetObjectMetaRequest(**named()))
    assert (meta.etag, meta.content_length) == (etag(b"hello"), 5)
    assert "x-oss-meta-team" not in meta.headers


async def test_what_is_kept_survives_a_restart(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    arguments = ("--bucket", "photos=cn-hangzhou", "--data", str(tmp_path))
    async with local_cloud(session, *arguments) as first, client(first, Key()) as sdk:
        await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="a", body=b"x", tagging="a=1"))
        await sdk.put_object_acl(oss.PutObjectAclRequest(bucket="photos", key="a", acl="private"))
        before = await first.objects("photos")
    async with local_cloud(session, *arguments) as second:
        assert await second.objects("photos") == before
        assert (before[0]["acl"], before[0]["tags"]) == ("private", {"a": "1"})


@pytest.mark.parametrize("appends", [False, True])
async def test_of_two_uploads_at_once_one_is_refused(
    cloud: Cloud, session: aiohttp.ClientSession, appends: bool
) -> None:
    begun, stored = asyncio.Event(), asyncio.Event()
    query = {"append": "", "position": "0"} if appends else {}
    headers = {} if appends else {"x-oss-forbid-overwrite": "true"}
    method = "POST" if appends else "PUT"
    url = presigned(cloud.oss, method, "new", query, headers)

    async def slow() -> AsyncIterator[bytes]:
        yield b"first"
        begun.set()
        await stored.wait()

    async def upload(body: Any) -> int:
        async with session.request(
            method, url, headers=headers, data=body, skip_auto_headers=["Content-Type"]
        ) as answer:
            return answer.status

    first = asyncio.create_task(upload(slow()))
    await begun.wait()
    assert await upload(b"second") == 200
    stored.set()
    assert await first == 409
    assert await cloud.content("photos", "new") == b"second"
