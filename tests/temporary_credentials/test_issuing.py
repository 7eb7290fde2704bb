"""`POST /v1/apps/{app_id}/credentials`: what it responds, and how often STS is called."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import alibabacloud_oss_v2 as oss
import pytest

from tests.harness.local_cloud import Cloud
from tests.harness.waiting import wait_until
from tests.localcloud.sdk import PROVIDER
from tests.localcloud.test_oidc import token
from tests.temporary_credentials.conftest import CredentialSigner, credential_signer, definitions, sdk_client

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_response_is_what_an_sdk_needs(photos: CredentialSigner) -> None:
    response = await photos.request("POST", "credentials")
    assert response.headers["Cache-Control"] == "no-store"
    document = response.body
    assert set(document) == {"AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration", "target"}
    assert document["target"] == {
        "bucket": "photos",
        "region": "cn-hangzhou",
        "endpoint": photos.cloud.oss,
        "cname": False,
        "key_prefix": "p/ann/",
    }
    remaining = datetime.fromisoformat(document["Expiration"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < remaining <= timedelta(minutes=15)
    async with sdk_client(document) as sdk:
        await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="p/ann/a.txt", body=b"of ann"))
        read = await sdk.get_object(oss.GetObjectRequest(bucket="photos", key="p/ann/a.txt"))
        assert await read.body.read() == b"of ann"
    assert await photos.download("p/ann/a.txt") == (200, b"of ann")


@pytest.mark.parametrize(
    ("domain", "endpoint", "cname"),
    [
        ("https://img.example.com", "https://img.example.com", True),
        ("https://photos.oss-cn-hangzhou.aliyuncs.com", "https://oss-cn-hangzhou.aliyuncs.com", False),
        ("https://photos.oss-accelerate.aliyuncs.com", "https://oss-accelerate.aliyuncs.com", False),
        ('""', "https://oss-cn-hangzhou.aliyuncs.com", False),
    ],
)
async def test_the_endpoint_is_that_of_the_domain(cloud: Cloud, domain: str, endpoint: str, cname: bool) -> None:
    text = definitions(cloud, domain=domain, key_prefix="'{app}/{caller}/{yyyy}/'")
    async with credential_signer(cloud, text) as photos:
        target = (await photos.issue())["target"]
    assert (target["endpoint"], target["cname"]) == (endpoint, cname)
    assert target["key_prefix"] == f"photos/ann/{datetime.now(UTC):%Y}/"


async def test_sts_is_called_once_for_each_caller(photos: CredentialSigner) -> None:
    before = await photos.assumed()
    issued = await asyncio.gather(*(photos.issue() for _ in range(10)))
    assert len({each["AccessKeyId"] for each in [*issued, await photos.issue()]}) == 1
    assert await photos.assumed() == before + 1
    assert (await photos.issue("bob"))["AccessKeyId"] != issued[0]["AccessKeyId"]
    await photos.download("p/ann/a.txt")
    assert await photos.assumed() == before + 2


async def test_a_reload_keeps_credentials_unless_they_allow_something_else(
    cloud: Cloud, photos: CredentialSigner
) -> None:
    first = await photos.issue()
    await photos.redefine(definitions(cloud, max_size="1MiB"))
    assert await photos.issue() == first
    await photos.redefine(definitions(cloud, temporary_credentials="{actions: [read]}"))
    assert (await photos.issue())["AccessKeyId"] != first["AccessKeyId"]
    await photos.redefine(definitions(cloud, temporary_credentials="{duration: 1h}"))
    remaining = datetime.fromisoformat((await photos.issue())["Expiration"]) - datetime.now(UTC)
    assert remaining > timedelta(minutes=59)


@pytest.mark.parametrize("keep", [True, False])
async def test_revoked_tokens_of_the_role_end_its_credentials(photos: CredentialSigner, keep: bool) -> None:
    first = await photos.issue()
    await photos.service.credentials.replace_tokens("uploader", keep=keep, timeout_seconds=10)
    assert (await photos.issue() == first) is keep


async def test_a_first_delete_that_meets_a_revoked_token_ends_the_credentials_of_its_role(cloud: Cloud) -> None:
    async with credential_signer(cloud, definitions(cloud, deletes="true")) as photos:
        first = await photos.issue()
        await cloud.set_faults(oss={"kind": "revoked"})
        await cloud.set_faults()
        assert (await photos.delete("p/ann/a.txt")).status == 503
        assert await photos.issue() == first, "the address may be wrong"

        async def is_deleted() -> bool:
            return (await photos.delete("p/ann/a.txt")).status == 204

        await wait_until(is_deleted)
        assert (await photos.issue())["AccessKeyId"] != first["AccessKeyId"]
        second = await photos.issue()
        assert await is_deleted()
        assert await photos.issue() == second


async def test_a_role_that_is_assumed_with_another_one(cloud: Cloud) -> None:
    text = definitions(cloud, credentials="chained")
    async with credential_signer(cloud, text) as photos, sdk_client(await photos.issue()) as sdk:
        await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="p/ann/chained.txt", body=b"1"))


async def test_a_role_of_a_pod(cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(token(), encoding="ascii")
    entry = f"""  pod: {{type: oidc, endpoint: "{cloud.sts}", role_arn: "acs:ram::1234567890123456:role/pod",
    provider_arn: "{PROVIDER}", token_file: "{file}", scope: app}}"""
    text = definitions(cloud, entries=entry, credentials="pod")
    async with credential_signer(cloud, text) as photos, sdk_client(await photos.issue()) as sdk:
        await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="p/ann/pod.txt", body=b"1"))
    assert (await cloud.counts())["sts.AssumeRoleWithOIDC"] == 2


async def test_while_sts_fails_forms_and_cached_credentials_work(cloud: Cloud, photos: CredentialSigner) -> None:
    await photos.issue("ann")
    await cloud.set_faults(sts={"kind": "status", "status": 500})
    refused = await photos.request("POST", "credentials", caller="new")
    assert (refused.status, refused.body["code"]) == (503, "credentials_unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert (await photos.request("POST", "credentials", caller="ann")).status == 200
    assert (await photos.request("POST", "uploads", caller="new", app="forms")).status == 201
    assert (await photos.request("GET", "downloads", caller="new", params={"key": "p/new/a"})).status == 503


@pytest.mark.parametrize(
    ("path", "options", "status", "code"),
    [
        ("credentials", {"app": "forms"}, 403, "forbidden"),
        ("credentials", {"app": "unknown"}, 404, "unknown_app"),
        ("credentials", {"key": "another"}, 401, "unauthenticated"),
        ("credentials", {"caller": "*"}, 400, "invalid_request"),
        ("credentials", {"caller": "a*"}, 400, "invalid_request"),
        ("credentials", {"caller": "a?"}, 400, "invalid_request"),
        ("credentials", {"caller": "ann/../bob"}, 400, "invalid_request"),
        ("credentials", {"caller": ".."}, 400, "invalid_request"),
        ("credentials", {"caller": "a" * 129}, 400, "invalid_request"),
        ("credentials", {"data": '{"duration": 43200}'}, 400, "invalid_request"),
        ("credentials", {"data": "[]"}, 400, "invalid_request"),
    ],
)
async def test_a_request_that_is_refused_makes_no_call(
    photos: CredentialSigner, path: str, options: dict[str, str], status: int, code: str
) -> None:
    before = await photos.assumed()
    refused = await photos.request("POST", path, **options)
    assert (refused.status, refused.body["code"]) == (status, code)
    assert await photos.assumed() == before


async def test_requests_count_in_the_rate_limit(cloud: Cloud) -> None:
    async with credential_signer(cloud, definitions(cloud, rate_limit="{per_caller: 2/h}")) as photos:
        statuses = [(await photos.request("POST", "credentials")).status for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_new_callers_beyond_the_rate_wait_for_their_turn(cloud: Cloud) -> None:
    text = definitions(cloud, top="server: {temporary_credential_rate: 1/h}")
    async with credential_signer(cloud, text) as photos:
        await photos.issue("ann")
        refused = await photos.request("POST", "credentials", caller="bob")
        assert (refused.status, 3500 < int(refused.headers["Retry-After"]) <= 3600) == (503, True)
        assert (await photos.request("POST", "uploads", caller="bob")).status == 201
        await photos.issue("ann")


async def test_a_credential_is_audited_and_counted_without_its_secrets(cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    async with credential_signer(cloud, definitions(cloud, top=f"audit: {file}")) as photos:
        issued = await photos.issue()
        await photos.issue()
        await cloud.set_faults(sts={"kind": "status", "status": 500})
        await photos.request("POST", "credentials", caller="bob")
        text = photos.service.metrics.exposition().decode()
    for line in (
        'oss_signer_temporary_credentials_total{app="photos",outcome="issued"} 1.0',
        'oss_signer_temporary_credentials_total{app="photos",outcome="cached"} 1.0',
        'oss_signer_temporary_credentials_total{app="photos",outcome="refused"} 1.0',
        'oss_signer_temporary_credential_fetches_total{app="photos",outcome="success"} 1.0',
        'oss_signer_temporary_credential_fetches_total{app="photos",outcome="failure"} 1.0',
        "oss_signer_temporary_credential_fetches_waiting 0.0",
        "oss_signer_temporary_credentials_cached 1.0",
        "oss_signer_request_duration_seconds_count 0.0",
    ):
        assert f"{line}\n" in text
    written = file.read_text(encoding="utf-8")
    first, _ = [json.loads(line) for line in written.splitlines()]
    assert (first["event"], first["app"], first["caller"]) == ("temporary_credential", "photos", "ann")
    assert (first["key_prefix"], first["access_key_id"]) == ("p/ann/", issued["AccessKeyId"])
    assert first["actions"] == ["oss:PutObject", "oss:ListParts", "oss:AbortMultipartUpload", "oss:GetObject"]
    for secret in ("AccessKeySecret", "SecurityToken"):
        assert issued[secret] not in written + text
