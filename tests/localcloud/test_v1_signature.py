"""V1 signatures in headers and URLs: valid ones by Alibaba's SDK, invalid ones by hand."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient
from yarl import URL

from tests.harness.local_cloud import Cloud, local_cloud
from tests.localcloud.forms import Key
from tests.localcloud.sdk import assume, key_of
from tests.localcloud.test_bucket_queries import refused
from tests.localcloud.uploading import PART, Uploading

KEY = "照片/a b+c&=?#%.txt"


def client(cloud: Cloud, key: Key = Key()) -> AsyncClient:  # noqa: B008
    provider = oss.credentials.StaticCredentialsProvider(key.id, key.secret, key.token)
    return AsyncClient(
        oss.Config(
            region="cn-hangzhou",
            endpoint=cloud.oss,
            credentials_provider=provider,
            retry_max_attempts=1,
            signature_version="v1",
        )
    )


async def test_the_calls_of_the_sdk(cloud: Cloud) -> None:
    async with client(cloud) as sdk:
        await sdk.put_object(
            oss.PutObjectRequest(bucket="photos", key=KEY, body=b"hello", content_type="text/x", metadata={"a": "b"})
        )
        head = await sdk.head_object(oss.HeadObjectRequest(bucket="photos", key=KEY))
        assert (head.content_length, head.metadata) == (5, {"a": "b"})
        await sdk.put_object_acl(oss.PutObjectAclRequest(bucket="photos", key=KEY, acl="private"))
        listed = await sdk.list_objects_v2(oss.ListObjectsV2Request(bucket="photos", prefix="照", delimiter="/"))
        assert [each.prefix for each in listed.common_prefixes] == ["照片/"]
        assert [each.name for each in (await sdk.list_buckets(oss.ListBucketsRequest())).buckets] == ["photos"]
        upload = await Uploading(sdk, KEY).start()
        await upload.put(1)
        assert len((await upload.list(max_parts=5)).parts) == 1
        await upload.complete()
    assert await cloud.content("photos", KEY) == PART


async def test_a_wrong_secret_or_policy_is_refused(cloud: Cloud) -> None:
    put: dict[str, Any] = {"bucket": "photos", "key": "a", "body": b"x"}
    async with client(cloud, Key(secret="wrong")) as wrong:
        found = await refused(wrong.put_object(oss.PutObjectRequest(**put)))
        assert found[:2] == (403, "SignatureDoesNotMatch")
    async with client(cloud, Key(id="nobody")) as unknown:
        assert (await refused(unknown.put_object(oss.PutObjectRequest(**put))))[:2] == (403, "InvalidAccessKeyId")
    assert await cloud.objects("photos") == []


async def test_new_accounts_cannot_use_v1(session: aiohttp.ClientSession) -> None:
    async with (
        local_cloud(session, "--bucket", "photos=us-west-1", "--new-account") as cloud,
        client(cloud) as sdk,
    ):
        call = sdk.get_bucket_info(oss.GetBucketInfoRequest(bucket="photos"))
        assert (await refused(call))[:2] == (400, "InvalidArgument")


def by_hand(key: Key, method: str, date: str, resource: str, headers: str = "", content_type: str = "") -> str:
    text = f"{method}\n\n{content_type}\n{date}\n{headers}{resource}"
    return base64.b64encode(hmac.digest(key.secret.encode(), text.encode(), "sha1")).decode()


async def test_a_url_is_valid_until_it_expires_and_for_what_it_signs(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession
) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="a", body=b"hello"))
    token = key_of(await assume(cloud))
    expires = str(int((datetime.now(UTC) + timedelta(hours=1)).timestamp()))
    resource = f"/photos/a?response-content-type=text/x&security-token={token.token}"
    query = {
        "OSSAccessKeyId": token.id,
        "Expires": expires,
        "Signature": by_hand(token, "GET", expires, resource),
        "response-content-type": "text/x",
        "security-token": token.token or "",
    }
    for change, status in (
        ({}, 200),
        ({"Expires": str(int(expires) + 1)}, 403),
        ({"response-content-type": "text/html"}, 403),
        ({"Signature": "x"}, 403),
        ({"Signature": ""}, 403),
        ({"Expires": "soon"}, 403),
        ({"security-token": ""}, 403),
        ({"acl": ""}, 403),
    ):
        async with session.get(URL(f"{cloud.oss}/photos/a").with_query({**query, **change})) as answer:
            assert answer.status == status, (change, await answer.text())
    async with session.put(URL(f"{cloud.oss}/photos/a").with_query(query), data=b"other") as answer:
        assert answer.status == 403
    await cloud.set_faults(oss={"kind": "clock", "offset_seconds": 3601})
    async with session.get(URL(f"{cloud.oss}/photos/a").with_query(query)) as answer:
        assert (answer.status, "Request has expired" in await answer.text()) == (403, True)


@pytest.mark.parametrize(
    ("offset_seconds", "changes", "status", "code"),
    [
        (0, {}, 200, ""),
        (-800, {}, 200, ""),
        (1000, {}, 403, "RequestTimeTooSkewed"),
        (0, {"x-oss-meta-a": "c"}, 403, "SignatureDoesNotMatch"),
        (0, {"x-oss-object-acl": "public-read"}, 403, "SignatureDoesNotMatch"),
        (0, {"Content-Type": "text/y"}, 403, "SignatureDoesNotMatch"),
        (0, {"Date": ""}, 403, "AccessDenied"),
        (0, {"Authorization": "OSS LTAI-local"}, 400, "0002-00000062"),
    ],
)
async def test_a_header_signs_date_type_and_oss_headers(
    cloud: Cloud,
    session: aiohttp.ClientSession,
    offset_seconds: int,
    changes: dict[str, str],
    status: int,
    code: str,
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=offset_seconds), usegmt=True)
    signature = by_hand(Key(), "PUT", date, "/photos/a", "x-oss-meta-a:b\n", "text/x")
    headers = {
        "Authorization": f"OSS LTAI-local:{signature}",
        "Date": date,
        "Content-Type": "text/x",
        "x-oss-meta-a": "b",
        **changes,
    }
    async with session.put(f"{cloud.oss}/photos/a", data=b"x", headers=headers) as answer:
        assert (answer.status, code in await answer.text()) == (status, True)
