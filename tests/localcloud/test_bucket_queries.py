"""GetBucketInfo and GetBucketLocation, endpoints, CORS rules and the policies of roles."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient

from tests.harness.local_cloud import Cloud
from tests.localcloud.forms import Key
from tests.localcloud.sdk import assume, key_of

PAGE = "https://h5.example.com"


def client(cloud: Cloud, key: Key, region: str = "cn-hangzhou") -> AsyncClient:
    provider = oss.credentials.StaticCredentialsProvider(key.id, key.secret, key.token)
    return AsyncClient(
        oss.Config(region=region, endpoint=cloud.oss, credentials_provider=provider, retry_max_attempts=1)
    )


async def refused(call: Any) -> tuple[int, str, str]:
    with pytest.raises(oss.exceptions.OperationError) as caught:
        await call
    error = caught.value.unwrap()
    return error.status_code, error.code, error.ec


async def test_a_permitted_caller_reads_the_region_of_a_bucket(cloud: Cloud) -> None:
    await cloud.create_bucket("far", "cn-shanghai")
    # GetBucketInfo is answered at any region's endpoint, other questions are not.
    async with client(cloud, Key()) as near, client(cloud, Key(), "cn-shanghai") as far:
        info = (await near.get_bucket_info(oss.GetBucketInfoRequest(bucket="far"))).bucket_info
        assert (info.name, info.location) == ("far", "oss-cn-shanghai")
        assert (await far.get_bucket_location(oss.GetBucketLocationRequest(bucket="far"))).location == "oss-cn-shanghai"
        location = oss.GetBucketLocationRequest(bucket="far")
        assert await refused(near.get_bucket_location(location)) == (400, "InvalidArgument", "0002-00000226")
        missing = oss.GetBucketInfoRequest(bucket="nobodys")
        assert (await refused(near.get_bucket_info(missing)))[:2] == (404, "NoSuchBucket")


async def test_an_unsigned_request_learns_only_that_the_bucket_exists(
    cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    for query in ("bucketInfo", "location", "cors"):
        async with session.get(f"{cloud.oss}/photos?{query}") as answer:
            assert answer.status == 403
            assert "<EC>0003-00000001</EC>" in await answer.text()


async def test_another_regions_endpoint_returns_the_right_endpoint(
    cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    for host, status in (("photos.oss-cn-shanghai.aliyuncs.com", 403), ("photos.oss-accelerate.aliyuncs.com", 404)):
        async with session.get(f"{cloud.oss}/key", headers={"Host": host}) as answer:
            text = await answer.text()
            assert answer.status == status, text
    async with session.get(
        f"{cloud.oss}/?location", headers={"Host": "photos.oss-cn-shanghai-internal.aliyuncs.com"}
    ) as answer:
        text = await answer.text()
        assert "must be addressed using the specified endpoint" in text
        assert re.search("<Endpoint>(.*)</Endpoint>", text)[1] == "oss-cn-hangzhou.aliyuncs.com"  # type: ignore[index]


async def test_a_custom_domain_leads_to_its_bucket(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    headers = {"Host": "upload.example.com"}
    async with session.put(f"{cloud.oss}/-/domains/upload.example.com", json={"bucket": "photos"}):
        pass
    async with session.get(f"{cloud.oss}/key", headers=headers) as answer:
        assert "NoSuchKey" in await answer.text()
    async with session.put(f"{cloud.oss}/-/domains/upload.example.com", json={"bucket": None}):
        pass
    async with session.get(f"{cloud.oss}/key", headers=headers) as answer:
        assert "NoSuchBucket" in await answer.text()


async def test_the_first_matching_cors_rule_applies(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    rules = [
        {"allowed_origins": ["https://*.example.com"], "allowed_methods": ["GET"]},
        {
            "allowed_origins": [PAGE],
            "allowed_methods": ["POST"],
            "allowed_headers": ["x-oss-*"],
            "expose_headers": ["ETag"],
            "max_age_seconds": 30,
        },
        {"allowed_origins": ["*"], "allowed_methods": ["POST"], "expose_headers": ["x-never"]},
    ]
    async with session.put(f"{cloud.oss}/-/buckets/photos/cors", json=rules) as answer:
        assert answer.status == 200
    preflight = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "X-Oss-Meta-A",
    }
    async with session.options(f"{cloud.oss}/photos/key", headers=preflight) as answer:
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers["Access-Control-Expose-Headers"] == "ETag"
        assert answer.headers["Access-Control-Max-Age"] == "30"
    for change in (
        {"Access-Control-Request-Headers": "Authorization"},
        {"Access-Control-Request-Method": "PUT"},
        {"Origin": "https://other.example.org", "Access-Control-Request-Headers": "X-Oss-Meta-A"},
    ):
        async with session.options(f"{cloud.oss}/photos/key", headers=preflight | change) as answer:
            assert answer.status == 403, change
    sync = oss.Client(
        oss.Config(
            region="cn-hangzhou",
            endpoint=cloud.oss,
            credentials_provider=oss.credentials.StaticCredentialsProvider("LTAI-local", "local-secret"),
        )
    )
    stored = await asyncio.to_thread(sync.get_bucket_cors, oss.GetBucketCorsRequest(bucket="photos"))
    assert [rule.allowed_methods for rule in stored.cors_configuration.cors_rules] == [["GET"], ["POST"], ["POST"]]
    async with session.put(f"{cloud.oss}/-/buckets/photos/cors", json=[]):
        pass
    with pytest.raises(oss.exceptions.OperationError) as caught:
        await asyncio.to_thread(sync.get_bucket_cors, oss.GetBucketCorsRequest(bucket="photos"))
    assert caught.value.unwrap().code == "NoSuchCORSConfiguration"


async def test_a_changed_policy_of_a_role_applies_at_once(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    key = key_of(await assume(cloud))
    put = {"bucket": "photos", "key": "a/1", "body": b""}
    async with client(cloud, key) as holder:
        await holder.put_object(oss.PutObjectRequest(**put))
        allow = {"Effect": "Allow", "Action": "oss:PutObject", "Resource": "acs:oss:*:*:photos/b/*"}
        await set_policy(cloud, session, allow)
        not_allowed = (403, "AccessDenied", "0003-00000202")
        assert await refused(holder.put_object(oss.PutObjectRequest(**put))) == not_allowed
        await holder.put_object(oss.PutObjectRequest(**put | {"key": "b/1"}))
        info = oss.GetBucketInfoRequest(bucket="photos")
        assert await refused(holder.get_bucket_info(info)) == not_allowed
        await set_policy(cloud, session, allow, {**allow, "Effect": "Deny"})
        forbidden = await refused(holder.put_object(oss.PutObjectRequest(**put | {"key": "b/1"})))
        assert forbidden == (403, "AccessDenied", "0003-00000201")


async def set_policy(cloud: Cloud, session: aiohttp.ClientSession, *statements: dict[str, str]) -> None:
    policy = {"Version": "1", "Statement": statements}
    async with session.put(f"{cloud.oss}/-/roles/oss-upload", json={"policy": policy}) as answer:
        assert answer.status == 200


async def test_an_untrusting_role_cannot_be_assumed(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    async with session.put(f"{cloud.sts}/-/roles/oss-upload", json={"trusted": False}):
        pass
    with pytest.raises(Exception, match="NoPermission"):
        await assume(cloud)
    async with session.put(f"{cloud.sts}/-/roles/oss-upload", json={"trusted": True}):
        pass
    assert key_of(await assume(cloud)).id.startswith("STS.")


async def test_the_role_of_the_instance_can_be_replaced_or_removed(
    cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    place = f"{cloud.metadata}/latest/meta-data/ram/security-credentials/"
    for name, expected in (("other", "other"), (None, "404 - Not Found")):
        async with session.put(f"{cloud.metadata}/-/instance-role", json={"name": name}):
            pass
        async with session.get(place) as answer:
            assert (await answer.text()) == expected


def trust(**members: object) -> dict[str, object]:
    """Return the settings of a role with a trust policy."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"RAM": ["acs:ram::1:root"]}, **members}
    return {"trust_policy": {"Version": "1", "Statement": [statement]}}


async def test_the_trust_policy_of_the_invalid_settings_is_valid_otherwise(
    cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    condition = {"StringEquals": {"sts:ExternalId": ["photos"]}}
    async with session.put(f"{cloud.oss}/-/roles/oss-upload", json=trust(Condition=condition)) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("roles/oss-upload", {"policy": {"Version": "2"}}),
        ("roles/oss-upload", {"policy": {"Version": "1", "Statement": [{"Effect": "Allow", "NotAction": "oss:*"}]}}),
        ("roles/oss-upload", {"trust_policy": {"Version": "1", "Statement": 1}}),
        ("roles/oss-upload", trust(Effect="Deny")),
        ("roles/oss-upload", trust(Principal="*")),
        ("roles/oss-upload", trust(Principal={"RAM": 1})),
        ("roles/oss-upload", trust(NotPrincipal={"RAM": "acs:ram::2:root"})),
        ("roles/oss-upload", trust(Condition=["StringEquals"])),
        ("roles/oss-upload", trust(Condition={"StringEquals": ["sts:ExternalId"]})),
        ("roles/oss-upload", trust(Condition={"StringLike": {"sts:ExternalId": "a*"}})),
        ("roles/oss-upload", {"anything": 1}),
        ("instance-role", {"name": 1}),
        ("buckets/photos/cors", [{"allowed_origins": ["*"]}]),
        ("buckets/photos/cors", [{"allowed_origins": ["*"], "allowed_methods": ["PATCH"]}]),
        ("buckets/nobodys/cors", []),
        ("domains/upload.example.com", {"bucket": 1}),
    ],
)
async def test_invalid_settings_are_rejected(
    cloud: Cloud, session: aiohttp.ClientSession, path: str, wanted: object
) -> None:
    async with session.put(f"{cloud.oss}/-/{path}", json=wanted) as answer:
        assert answer.status == 400
