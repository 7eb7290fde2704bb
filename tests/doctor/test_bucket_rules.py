"""`doctor` compares the CORS and lifecycle rules of a bucket with what its apps need."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest

from tests.doctor.reports import PAGE, Report, allow, doctor
from tests.doctor.test_multipart import client
from tests.harness.local_cloud import Cloud, local_cloud
from tests.localcloud.sdk import ROLE

OTHER_PAGE = "https://forms.example.com"
COMPONENT = ["content-type", "x-requested-with"]
SDK = ["authorization", "x-oss-content-sha256", "x-oss-date", "x-oss-security-token", "x-oss-user-agent"]
CONFIG = f"""\
version: 1
server: {{{{listen: "127.0.0.1:0", admin: "127.0.0.1:0", secret: "{"s" * 32}"}}}}
credentials:
  uploader: {{{{type: assume_role, endpoint: "{{sts}}", role_arn: "{ROLE}", access_key_id: LTAI-local, access_key_secret: "${{{{AK_SECRET}}}}"}}}}
defaults:
  region: ap-southeast-1
  bucket: videos
  credentials: uploader
  callers: {{{{type: api_key, keys: {{{{shop: {sha256(b"a-key").hexdigest()}}}}}}}}}
apps:
"""
WITH_CREDENTIALS = f"""\
  sdk: {{{{key_prefix: "sdk/{{{{caller}}}}/", cors_origins: [{PAGE}], temporary_credentials: {{{{}}}}}}}}
  forms: {{{{key_prefix: forms/, cors_origins: [{OTHER_PAGE}]}}}}
"""


def rule(headers: list[str], methods: tuple[str, ...] = ("POST", "PUT", "GET", "HEAD", "DELETE")) -> dict[str, Any]:
    return {
        "allowed_origins": ["https://*.example.com"],
        "allowed_methods": [*methods],
        "allowed_headers": headers,
        "expose_headers": ["ETag", "x-oss-request-id"],
    }


async def report_of(cloud: Cloud, directory: Path, apps: str) -> Report:
    config = directory / "signer.yaml"
    config.touch(mode=0o600)
    config.write_text((CONFIG + apps).format(sts=cloud.sts), encoding="utf-8")
    return await doctor("--config", config, "--oss-endpoint", cloud.oss, "--json")


@pytest.mark.parametrize("may_read_rules", [True, False])
@pytest.mark.parametrize(
    ("rules", "verdict", "words"),
    [
        ([rule(["*"])], "ok", "is allowed"),
        ([rule(["X-Oss-*", "Authorization", *COMPONENT])], "ok", "is allowed"),
        ([rule([], ("POST",)), rule(COMPONENT, ("POST",)), rule(["*"])], "ok", "is allowed"),
        ([rule(COMPONENT)], "failed", " and ".join(["Authorization", *SDK[1:]])),
        ([rule([*COMPONENT, "authorization"])], "failed", " and ".join(SDK[1:])),
        ([rule([*COMPONENT, "x-oss-*"])], "failed", "Authorization"),
        ([rule(["content-type", *SDK])], "ok", "is allowed"),
    ],
)
async def test_pages_with_a_credential_need_the_headers_of_the_sdk(
    tmp_path: Path, rules: list[dict[str, Any]], verdict: str, words: str, may_read_rules: bool
) -> None:
    async with aiohttp.ClientSession() as session, local_cloud(session, "--bucket", "videos=ap-southeast-1") as cloud:
        async with session.put(f"{cloud.oss}/-/buckets/videos/cors", json=rules) as response:
            assert response.status == 200, await response.text()
        if not may_read_rules:
            policy = allow(["oss:PutObject", "oss:GetObject"], ["*"])
            async with session.put(f"{cloud.oss}/-/roles/{ROLE.rpartition('/')[2]}", json={"policy": policy}) as answer:
                assert answer.status == 200, await answer.text()
        report = await report_of(cloud, tmp_path, WITH_CREDENTIALS)
    pages = {(each["subject"].split()[0], each["what"].split()[0]): each for each in report.of("cors")}
    assert {method for page, method in pages if page == PAGE} == {"POST", "PUT", "GET", "HEAD", "DELETE"}
    for method in ("PUT", "GET", "HEAD", "DELETE"):
        found = pages[PAGE, method]
        expected = ("failed", "") if verdict == "failed" and not may_read_rules else (verdict, words)
        assert (found["verdict"], expected[1] in found["what"]) == (expected[0], True), found
    allows_component = any({"*", COMPONENT[1]} & set(each["allowed_headers"]) for each in rules)
    assert pages[OTHER_PAGE, "POST"]["verdict"] == ("ok" if allows_component else "warning")


MULTIPART = """\
  long: {{key_prefix: long/, multipart: {{expires: 7d}}}}
  short: {{key_prefix: short/, multipart: {{expires: 1d}}}}
"""
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def deleting(prefix: str, *, days: int | None = None, before: datetime | None = None) -> oss.LifecycleRule:
    return oss.LifecycleRule(
        id=f"rule-{prefix}",
        prefix=prefix,
        status="Enabled",
        abort_multipart_upload=oss.LifecycleRuleAbortMultipartUpload(days=days, created_before_date=before),
    )


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([deleting("", days=8)], "a rule deletes the parts"),
        ([deleting("", days=7)], "a rule deletes the parts"),
        (
            [deleting("", days=3)],
            "the rule rule- deletes parts below long/* after 3 days, but multipart.expires is 7d",
        ),
        ([deleting("", days=8), deleting("long/2026/", days=1)], "the rule rule-long/2026/ deletes parts below long/*"),
        ([deleting("long/", days=8), deleting("short/", days=1)], "a rule deletes the parts"),
        ([deleting("long/", days=8)], "no rule deletes the parts of abandoned uploads below short/*"),
        (
            [deleting("", before=TODAY - timedelta(days=100))],
            "no rule deletes the parts of abandoned uploads below long/*",
        ),
        ([deleting("", days=8), deleting("", before=TODAY - timedelta(days=5))], "long/* that were created before"),
        ([deleting("", days=8), deleting("", before=TODAY + timedelta(days=5))], "short/* that were created before"),
        ([deleting("elsewhere/", days=1), deleting("", days=8)], "a rule deletes the parts"),
    ],
)
async def test_no_rule_deletes_parts_while_an_upload_can_be_continued(
    tmp_path: Path, rules: list[oss.LifecycleRule], words: str
) -> None:
    for number, each in enumerate(rules):
        each.id = f"{each.id}-{number}" if number and rules[0].id == each.id else each.id
    request = oss.PutBucketLifecycleRequest(
        bucket="videos", lifecycle_configuration=oss.LifecycleConfiguration(rules=rules)
    )
    async with aiohttp.ClientSession() as session, local_cloud(session, "--bucket", "videos=ap-southeast-1") as cloud:
        await asyncio.to_thread(client(cloud).put_bucket_lifecycle, request)
        report = await report_of(cloud, tmp_path, MULTIPART)
    [found] = report.of("lifecycle")
    assert (words in found["what"], found["verdict"]) == (True, "ok" if words.startswith("a rule") else "warning"), (
        found
    )
    if found["verdict"] == "warning":
        assert found["fix"].count("<Days>8</Days>") == 2
