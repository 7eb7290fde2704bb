"""`doctor` checks what multipart uploads need of role and bucket, and prints the rules that are missing."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import aiohttp
import alibabacloud_oss_v2 as oss

from tests.doctor.reports import PAGE, allow, doctor
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.ports import reserve_port

CONFIG = """\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", secret: "{secret}"}}
credentials:
  good: {{type: assume_role, endpoint: "{sts}", role_arn: "acs:ram::1234567890123456:role/oss-upload", access_key_id: LTAI-local, access_key_secret: "${{AK_SECRET}}"}}
  narrow: {{type: assume_role, endpoint: "{sts}", role_arn: "acs:ram::1234567890123456:role/oss-narrow", access_key_id: LTAI-local, access_key_secret: "${{AK_SECRET}}"}}
defaults: {{region: ap-southeast-1, credentials: good, bucket: videos, multipart: {{expires: 3d}}}}
apps:
  good: {{key_prefix: "good/{{caller_hash}}/", cors_origins: [{page}], callers: {{type: api_key, keys: {{shop: {key}}}}}}}
  narrow: {{key_prefix: narrow/, credentials: narrow}}
  bare: {{key_prefix: bare/, bucket: bare, cors_origins: [{page}]}}
  away: {{key_prefix: away/, oss_endpoint: "http://127.0.0.1:{closed}"}}
"""
RULE = {"allowed_headers": ["*"], "expose_headers": ["ETag", "x-oss-request-id"]}


def client(cloud: Cloud) -> oss.Client:
    provider = oss.credentials.StaticCredentialsProvider("LTAI-local", "local-secret")
    config = oss.Config("ap-southeast-1", endpoint=cloud.oss, credentials_provider=provider, use_path_style=True)
    return oss.Client(config)


def lifecycle_rules(prefix: str) -> oss.PutBucketLifecycleRequest:
    rule = oss.LifecycleRule(
        id="parts",
        prefix=prefix,
        status="Enabled",
        abort_multipart_upload=oss.LifecycleRuleAbortMultipartUpload(days=4),
    )
    return oss.PutBucketLifecycleRequest(
        bucket="videos", lifecycle_configuration=oss.LifecycleConfiguration(rules=[rule])
    )


def rules_without_effect(bucket: str) -> oss.PutBucketLifecycleRequest:
    """Return rules that delete no parts of uploads to `bare/`."""
    abort = oss.LifecycleRuleAbortMultipartUpload(days=4)
    rules = [
        oss.LifecycleRule(prefix="bare/", status="Enabled", expiration=oss.LifecycleRuleExpiration(days=30)),
        oss.LifecycleRule(prefix="bare/", status="Disabled", abort_multipart_upload=abort),
        oss.LifecycleRule(prefix="bare/a", status="Enabled", abort_multipart_upload=abort),
    ]
    return oss.PutBucketLifecycleRequest(bucket, lifecycle_configuration=oss.LifecycleConfiguration(rules=rules))


async def test_role_and_bucket_are_checked_for_multipart_uploads(tmp_path: Path) -> None:
    config = tmp_path / "signer.yaml"
    config.touch(mode=0o600)
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        places = {"sts": cloud.sts, "page": PAGE, "closed": reserve_port(), "secret": "s" * 32, "key": f"'{'1' * 64}'"}
        config.write_text(CONFIG.format(**places), encoding="utf-8")
        for bucket, methods in (("videos", ["POST", "PUT"]), ("bare", ["POST"])):
            await cloud.create_bucket(bucket, "ap-southeast-1")
            rule = {**RULE, "allowed_origins": [PAGE], "allowed_methods": methods}
            async with session.put(f"{cloud.oss}/-/buckets/{bucket}/cors", json=[rule]) as response:
                assert response.status < 300
        policy = allow(["oss:PutObject", "oss:GetObject"], ["*"])
        async with session.put(f"{cloud.oss}/-/roles/oss-narrow", json={"policy": policy}) as response:
            assert response.status < 300
        for rules in (lifecycle_rules("good/"), rules_without_effect("bare")):
            await asyncio.to_thread(client(cloud).put_bucket_lifecycle, rules)
        report = await doctor("--config", config, "--oss-endpoint", cloud.oss, "--json")
        assert await cloud.objects("videos") == []

    by_subject = {
        (each["step"], each["subject"].partition(" ")[0], each["apps"][0]): each for each in report.of("multipart")
    }
    good = by_subject["multipart", "videos/good/*", "good"]
    assert (good["verdict"], good["what"].partition(" start")[0]) == ("ok", "the role may")
    narrow = by_subject["multipart", "videos/narrow/*", "narrow"]
    assert narrow["what"] == "the role lacks oss:ListParts and oss:AbortMultipartUpload for multipart uploads"
    assert '"acs:oss:*:*:videos/narrow/*"' in narrow["fix"]
    away = by_subject["multipart", "videos/away/*", "away"]
    assert (away["verdict"], "oss_endpoint" in away["fix"]) == ("failed", True)

    lifecycle = {(each["subject"], each["verdict"]): each for each in report.of("lifecycle")}
    warning = lifecycle["videos (credentials.good)", "warning"]
    assert warning["what"] == "no rule deletes the parts of abandoned uploads below away/*, and OSS bills them"
    assert re.findall("<Prefix>(.*?)</Prefix>", warning["fix"]) == ["away/", "good/"]
    assert "<AbortMultipartUpload><Days>4</Days></AbortMultipartUpload>" in warning["fix"]
    assert "bare/*" in lifecycle["bare (credentials.good)", "warning"]["what"]
    assert "oss:GetBucketLifecycle" in lifecycle["videos (credentials.narrow)", "not checked"]["what"]

    cors = {(each["subject"].split()[2], each["what"]): each["verdict"] for each in report.of("cors")}
    assert cors["videos", "PUT is allowed; ETag and x-oss-request-id are exposed"] == "ok"
    assert cors["bare", "POST is allowed; ETag and x-oss-request-id are exposed"] == "ok"
    assert cors["bare", "no CORS rule allows PUT from this origin"] == "failed"
    [fix] = [each["fix"] for each in report.of("cors", "failed")]
    assert "<AllowedMethod>POST</AllowedMethod><AllowedMethod>PUT</AllowedMethod>" in fix
