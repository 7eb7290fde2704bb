"""Lifecycle and CORS rules of a bucket, with Alibaba's SDK."""

from __future__ import annotations

import asyncio
import json
from xml.etree import ElementTree

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest

from tests.harness.local_cloud import Cloud
from tests.localcloud.forms import Key
from tests.localcloud.presigned import presigned
from tests.localcloud.sdk import assume, key_of
from tests.localcloud.test_bucket_queries import PAGE, refused

BUCKET = {"bucket": "photos"}


def blocking(cloud: Cloud, key: Key = Key()) -> oss.Client:  # noqa: B008
    provider = oss.credentials.StaticCredentialsProvider(key.id, key.secret, key.token)
    return oss.Client(
        oss.Config(region="cn-hangzhou", endpoint=cloud.oss, credentials_provider=provider, retry_max_attempts=1)
    )


async def test_lifecycle_rules_are_kept(cloud: Cloud) -> None:
    sdk = blocking(cloud)
    get = oss.GetBucketLifecycleRequest(**BUCKET)
    assert (await refused(asyncio.to_thread(sdk.get_bucket_lifecycle, get)))[:2] == (404, "NoSuchLifecycle")
    abort = oss.LifecycleRuleAbortMultipartUpload(days=3)
    rules = oss.LifecycleConfiguration(
        rules=[oss.LifecycleRule(prefix="a/", status="Enabled", abort_multipart_upload=abort)]
    )
    put = oss.PutBucketLifecycleRequest(**BUCKET, lifecycle_configuration=rules)
    await asyncio.to_thread(sdk.put_bucket_lifecycle, put)
    [rule] = (await asyncio.to_thread(sdk.get_bucket_lifecycle, get)).lifecycle_configuration.rules
    assert (rule.prefix, rule.status, rule.abort_multipart_upload.days) == ("a/", "Enabled", 3)
    assert rule.id
    await asyncio.to_thread(sdk.delete_bucket_lifecycle, oss.DeleteBucketLifecycleRequest(**BUCKET))
    assert (await refused(asyncio.to_thread(sdk.get_bucket_lifecycle, get)))[:2] == (404, "NoSuchLifecycle")


def rule(text: str) -> str:
    return f"<LifecycleConfiguration><Rule><Status>Enabled</Status>{text}</Rule></LifecycleConfiguration>"


@pytest.mark.parametrize(
    ("body", "status", "ec"),
    [
        ("<LifecycleConfiguration>", 400, "0014-00000011"),
        ("<Lifecycle/>", 400, "0014-00000011"),
        ("<LifecycleConfiguration/>", 400, "0014-00000011"),
        ("<LifecycleConfiguration><Other/></LifecycleConfiguration>", 400, "0014-00000015"),
        (rule("<AbortMultipartUpload/>"), 400, "0014-00000073"),
        (rule("<AbortMultipartUpload><IsAccessTime>1</IsAccessTime></AbortMultipartUpload>"), 400, "0014-00000071"),
        (
            rule(
                "<AbortMultipartUpload><Days>1</Days><CreatedBeforeDate>2024</CreatedBeforeDate></AbortMultipartUpload>"
            ),
            400,
            "0014-00000074",
        ),
        (rule("<AbortMultipartUpload><Days>0</Days></AbortMultipartUpload>"), 400, ""),
        (rule("<AbortMultipartUpload><CreatedBeforeDate>now</CreatedBeforeDate></AbortMultipartUpload>"), 400, ""),
        (rule("<Expiration><Days>-1</Days></Expiration>"), 400, ""),
        (rule("<Expiration><Date>2026-13-01T00:00:00.000Z</Date></Expiration>"), 400, ""),
        (rule("<Expiration/>"), 400, ""),
        (rule(""), 400, ""),
        (rule("<Expiration><Days>1</Days></Expiration><Unknown/>"), 501, ""),
    ],
)
async def test_invalid_lifecycle_rules_are_refused(
    cloud: Cloud, session: aiohttp.ClientSession, body: str, status: int, ec: str
) -> None:
    url = presigned(cloud.oss, "PUT", "", {"lifecycle": ""}, {})
    async with session.put(url, data=body, skip_auto_headers=["Content-Type"]) as answer:
        found = ElementTree.fromstring(await answer.text())
        assert (answer.status, found.findtext("EC") or "") == (status, ec)


async def test_cors_rules_are_replaced_by_the_sdk(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    sdk = blocking(cloud)
    rules = [
        oss.CORSRule(
            allowed_origins=[PAGE],
            allowed_methods=["PUT"],
            allowed_headers=["*"],
            expose_headers=["ETag"],
            max_age_seconds=60,
        )
    ]
    configuration = oss.CORSConfiguration(cors_rules=rules)
    put = oss.PutBucketCorsRequest(**BUCKET, cors_configuration=configuration)
    await asyncio.to_thread(sdk.put_bucket_cors, put)
    [found] = (
        await asyncio.to_thread(sdk.get_bucket_cors, oss.GetBucketCorsRequest(**BUCKET))
    ).cors_configuration.cors_rules
    assert (found.allowed_origins, found.expose_headers, found.max_age_seconds) == ([PAGE], ["ETag"], 60)
    for method, status in (("PUT", 200), ("POST", 403)):
        headers = {"Origin": PAGE, "Access-Control-Request-Method": method}
        async with session.options(f"{cloud.oss}/photos/a", headers=headers) as answer:
            assert answer.status == status
    await asyncio.to_thread(sdk.delete_bucket_cors, oss.DeleteBucketCorsRequest(**BUCKET))
    get = oss.GetBucketCorsRequest(**BUCKET)
    assert (await refused(asyncio.to_thread(sdk.get_bucket_cors, get)))[:2] == (404, "NoSuchCORSConfiguration")


async def test_invalid_cors_rules_are_refused(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    url = presigned(cloud.oss, "PUT", "", {"cors": ""}, {})
    one = "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>%s</CORSRule>"
    for text, status in (
        (one % "", 200),
        (one % "<Unknown/>", 400),
        (one % "<MaxAgeSeconds>x</MaxAgeSeconds>", 400),
        ("<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>", 400),
        ("<CORSRule><AllowedOrigin></AllowedOrigin><AllowedMethod>PUT</AllowedMethod></CORSRule>", 400),
        ("", 400),
        (one % "" * 21, 400),
        (one % "" + "<ResponseVary>true</ResponseVary>", 501),
    ):
        body = f"<CORSConfiguration>{text}</CORSConfiguration>"
        async with session.put(url, data=body, skip_auto_headers=["Content-Type"]) as answer:
            assert answer.status == status, await answer.text()


@pytest.mark.parametrize("action", ["GetBucketLifecycle", "PutBucketLifecycle", "PutBucketCors"])
async def test_rules_need_their_ram_action(cloud: Cloud, action: str) -> None:
    statement = {"Effect": "Allow", "Action": f"oss:{action}", "Resource": "acs:oss:*:*:photos"}
    token = key_of(await assume(cloud, policy=json.dumps({"Version": "1", "Statement": [statement]})))
    sdk = blocking(cloud, token)
    calls = {
        "GetBucketLifecycle": (sdk.get_bucket_lifecycle, oss.GetBucketLifecycleRequest(**BUCKET)),
        "PutBucketLifecycle": (sdk.put_bucket_lifecycle, oss.PutBucketLifecycleRequest(**BUCKET)),
        "PutBucketCors": (sdk.put_bucket_cors, oss.PutBucketCorsRequest(**BUCKET)),
    }
    for name, (call, request) in calls.items():
        _, code, _ = await refused(asyncio.to_thread(call, request))
        assert (code == "AccessDenied") == (name != action), (name, code)
