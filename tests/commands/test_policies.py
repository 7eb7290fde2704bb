"""`policies`: nothing more and nothing less than the definitions need, judged by the local cloud."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest

from signer.cli import main
from signer.doctor.bucket_rules import as_xml
from tests.doctor.reports import PAGE, SECRETS, doctor
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.signer import run_command
from tests.localcloud.forms import Key
from tests.localcloud.sdk import PROVIDER, assume, assume_with_oidc, key_of
from tests.localcloud.test_oidc import token

ACCOUNT = "1234567890123456"
SIGNER_KEY = Key("LTAI-signer", SECRETS["AK_SECRET"])
ROOT = Key()
SERVICE_ACCOUNT = "system:serviceaccount:oss-signer:oss-signer"
NO_UPLOAD = "0123456789ABCDEF0123456789ABCDEF"
API_KEY = f"{{type: api_key, keys: {{shop: '{'1' * 64}'}}}}"

HEAD = """\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", secret: a-secret-of-the-signers-of-the-tests}}
credentials:
  instance: {{type: ecs_ram_role, role_name: oss-uploader, endpoint: "{metadata}"}}
  partner: {{type: assume_role, endpoint: "{sts}", role_arn: "acs:ram::{account}:role/oss-upload", access_key_id: LTAI-signer, access_key_secret: "${{AK_SECRET}}"}}
  scoped: {{type: assume_role, endpoint: "{sts}", role_arn: "acs:ram::{account}:role/oss-scoped", access_key_id: LTAI-signer, access_key_secret: "${{AK_SECRET}}", scope: app}}
  chained: {{type: assume_role, endpoint: "{sts}", role_arn: "acs:ram::{account}:role/oss-two", source: instance, external_id: photos}}
  pod: {{type: oidc, endpoint: "{sts}", role_arn: "acs:ram::{account}:role/oss-pod", provider_arn: "{provider}", token_file: "{token_file}"}}
defaults: {{region: ap-southeast-1, generate_signature: false, callers: {callers}, rate_limit: {{per_app: 10/s}}}}
apps:
"""
ROLES = {
    "oss-uploader": "instance",
    "oss-upload": "partner",
    "oss-scoped": "scoped",
    "oss-two": "chained",
    "oss-pod": "pod",
}
USED_BY = {"LTAI-signer": ("partner (AccessKey)", "scoped (AccessKey)")}

FEATURES: Mapping[str, tuple[str, frozenset[str]]] = {
    "downloads": ("downloads: {expires: 5m}", frozenset({"get"})),
    "deletes": ("deletes: true", frozenset({"delete"})),
    "multipart": ("multipart: {expires: 3d}", frozenset({"get", "list parts", "abort"})),
    "temporary": ("temporary_credentials: {actions: [read]}", frozenset({"get"})),
    "cors": (f"cors_origins: [{PAGE}]", frozenset()),
}
"""The YAML of each feature of an app, and what it allows in addition to uploads."""

App = tuple[str, str, str, frozenset[str]]
"""Credentials, bucket, prefix and features."""


def generated(seed: int) -> list[App]:
    """Return six apps with different roles, buckets, prefixes and features."""
    chance = random.Random(seed)

    def app(number: int) -> App:
        role, bucket = chance.choice([*ROLES.values()]), chance.choice(["photos", "videos"])
        chosen = {name for name in FEATURES if chance.random() < 0.5}
        # STS narrows only the tokens of roles that it issues them for.
        return role, bucket, f"p{number}/", frozenset(chosen - {"temporary"} if role == "instance" else chosen)

    return [app(number) for number in range(6)]


def as_yaml(apps: list[App], **places: str) -> str:
    head = HEAD.format(account=ACCOUNT, provider=PROVIDER, callers=API_KEY, **places)
    return head + "".join(app_line(number, app) for number, app in enumerate(apps))


def app_line(number: int, app: App) -> str:
    role, bucket, prefix, features = app
    members = [f"credentials: {role}", f"bucket: {bucket}", f'key_prefix: "{prefix}{{caller}}/"']
    members += [FEATURES[each][0] for each in sorted(features)]
    return f"  app{number}: {{{', '.join(members)}}}\n"


class Judge:
    """The local cloud with exactly the rights that `policies` printed."""

    def __init__(self, cloud: Cloud, token_file: Path) -> None:
        self.cloud, self.token_file = cloud, token_file

    async def grant(self, document: Mapping[str, Any]) -> None:
        granted = document["roles"]
        nothing = {"Version": "1", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
        for role, entry in ROLES.items():
            settings = granted.get(entry, {"policies": [nothing], "trust_policy": None})
            await self._put(
                f"roles/{role}", {"policy": merged(settings["policies"]), "trust_policy": settings["trust_policy"]}
            )
        policies = [
            policy for name in USED_BY["LTAI-signer"] for policy in granted.get(name, {"policies": []})["policies"]
        ]
        await self._put(
            "access-keys/LTAI-signer", {"secret": SIGNER_KEY.secret, "policy": merged(policies or [nothing])}
        )
        for name, bucket in document["buckets"].items():
            for key, parameter in (("cors", "cors"), ("lifecycle", "lifecycle")):
                if bucket[key] is not None:
                    await asyncio.to_thread(put_rules, self.cloud, name, parameter, bucket[key])

    async def key(self, entry: str) -> Key:
        """Return a token of the entry, fetched as the signer does."""
        if entry == "instance":
            return await self._instance_key()
        arn = f"acs:ram::{ACCOUNT}:role/{next(role for role, name in ROLES.items() if name == entry)}"
        if entry == "pod":
            text = self.token_file.read_text("utf-8")
            return key_of(await assume_with_oidc(self.cloud, text, role_arn=arn, duration_seconds=900))
        if entry == "chained":
            source = await self._instance_key()
            return key_of(await assume(self.cloud, source, role_arn=arn, external_id="photos"))
        return key_of(await assume(self.cloud, SIGNER_KEY, role_arn=arn))

    async def _instance_key(self) -> Key:
        session, metadata = self.cloud.session, f"{self.cloud.metadata}/latest"
        lifetime = {"X-aliyun-ecs-metadata-token-ttl-seconds": "60"}
        async with session.put(f"{metadata}/api/token", headers=lifetime) as response:
            headers = {"X-aliyun-ecs-metadata-token": await response.text()}
        path = f"{metadata}/meta-data/ram/security-credentials/oss-uploader"
        async with session.get(path, headers=headers) as response:
            answer = json.loads(await response.text())
        return Key(answer["AccessKeyId"], answer["AccessKeySecret"], answer["SecurityToken"])

    async def _put(self, path: str, settings: Any) -> None:
        async with self.cloud.session.put(f"{self.cloud.oss}/-/{path}", json=settings) as response:
            assert response.status < 300, await response.text()


def merged(policies: list[Any]) -> Any:
    return {"Version": "1", "Statement": [*itertools.chain(*(policy["Statement"] for policy in policies))]}


def client(cloud: Cloud, key: Key) -> oss.Client:
    provider = oss.credentials.StaticCredentialsProvider(key.id, key.secret, key.token)
    config = oss.Config(
        "ap-southeast-1",
        endpoint=cloud.oss,
        credentials_provider=provider,
        use_path_style=True,
        retry_max_attempts=1,
    )
    return oss.Client(config)


def put_rules(cloud: Cloud, bucket: str, parameter: str, rules: Mapping[str, Any]) -> None:
    call = oss.OperationInput(
        op_name=f"PutBucket{parameter.title()}",
        method="PUT",
        parameters={parameter: ""},
        bucket=bucket,
        body=as_xml(rules).encode(),
    )
    call.op_metadata["sub-resource"] = [parameter]
    client(cloud, ROOT).invoke_operation(call)


def is_allowed(call: Any) -> bool:
    try:
        call()
    except oss.exceptions.OperationError as error:
        refusal = error.unwrap()
        assert isinstance(refusal, oss.exceptions.ServiceError), error
        return bool(refusal.code != "AccessDenied")
    return True


def allowed_calls(cloud: Cloud, key: Key, bucket: str, object_key: str) -> frozenset[str]:
    """Return which calls OSS allows for an object that does not exist, or exists only by them."""
    oss_client, names = client(cloud, key), {"bucket": bucket, "key": object_key}
    calls = {
        "put": lambda: oss_client.put_object(oss.PutObjectRequest(**names, body=b"x")),
        "get": lambda: oss_client.get_object(oss.GetObjectRequest(**names)),
        "list parts": lambda: oss_client.list_parts(oss.ListPartsRequest(**names, upload_id=NO_UPLOAD)),
        "abort": lambda: oss_client.abort_multipart_upload(
            oss.AbortMultipartUploadRequest(**names, upload_id=NO_UPLOAD)
        ),
        "delete": lambda: oss_client.delete_object(oss.DeleteObjectRequest(**names)),
        "put acl": lambda: oss_client.put_object_acl(oss.PutObjectAclRequest(**names, acl="public-read")),
    }
    return frozenset(name for name, call in calls.items() if is_allowed(call))


def allowed_bucket_calls(cloud: Cloud, key: Key, bucket: str) -> frozenset[str]:
    oss_client = client(cloud, key)
    calls = {
        "info": lambda: oss_client.get_bucket_info(oss.GetBucketInfoRequest(bucket=bucket)),
        "cors": lambda: oss_client.get_bucket_cors(oss.GetBucketCorsRequest(bucket=bucket)),
        "lifecycle": lambda: oss_client.get_bucket_lifecycle(oss.GetBucketLifecycleRequest(bucket=bucket)),
        "list": lambda: oss_client.list_objects_v2(oss.ListObjectsV2Request(bucket=bucket)),
    }
    return frozenset(name for name, call in calls.items() if is_allowed(call))


def expected_calls(apps: list[App], role: str, bucket: str, object_key: str) -> frozenset[str]:
    of_role = [app for app in apps if app[:2] == (role, bucket) and object_key.startswith(app[2])]
    found = {"put"} if of_role else set()
    return frozenset(found.union(*(FEATURES[each][1] for app in of_role for each in app[3])))


def expected_bucket_calls(apps: list[App], role: str, bucket: str) -> frozenset[str]:
    features = {each for app in apps if app[:2] == (role, bucket) for each in app[3]}
    found = {"info"} if any(app[:2] == (role, bucket) for app in apps) else set()
    return frozenset(found | ({"cors"} & features) | ({"lifecycle"} if "multipart" in features else set()))


@pytest.fixture
async def judge(tmp_path: Path) -> AsyncIterator[Judge]:
    token_file = tmp_path / "token"
    token_file.write_text(token(sub=SERVICE_ACCOUNT), encoding="utf-8")
    async with aiohttp.ClientSession() as session, local_cloud(session, public_read=False) as cloud:
        for bucket in ("photos", "videos", "others"):
            await cloud.create_bucket(bucket, "ap-southeast-1")
        yield Judge(cloud, token_file)


def keys(apps: list[App]) -> Iterator[tuple[str, str]]:
    """Yield objects below each prefix and next to it."""
    for bucket in ("photos", "videos", "others"):
        for _, _, prefix, _ in apps:
            yield bucket, f"{prefix}shop/a.jpg"
        yield bucket, "p"
        yield bucket, "q/p0/a.jpg"


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 11))])
async def test_each_role_may_do_what_its_apps_need_and_nothing_else(judge: Judge, tmp_path: Path, seed: int) -> None:
    apps, cloud = generated(seed), judge.cloud
    config = tmp_path / "signer.yaml"
    config.touch(mode=0o600)
    config.write_text(as_yaml(apps, metadata=cloud.metadata, sts=cloud.sts, token_file=str(judge.token_file)), "utf-8")
    result = await run_command("policies", "--config", config, "--json", environ=SECRETS)
    assert (result.status, result.err) == (0, "")
    assert not [secret for secret in SECRETS.values() if secret in result.out]
    await judge.grant(json.loads(result.out))

    report = await doctor("--config", config, "--oss-endpoint", cloud.oss, "--json")
    checked = ("credential", "bucket", "cors", "multipart", "lifecycle")
    assert [each for each in report.findings if each["step"] in checked and each["verdict"] != "ok"] == []
    assert report.of("credential", "ok")

    for role in sorted({app[0] for app in apps}):
        key = await judge.key(role)
        for bucket, object_key in keys(apps):
            found = await asyncio.to_thread(allowed_calls, cloud, key, bucket, object_key)
            assert found == expected_calls(apps, role, bucket, object_key), (role, bucket, object_key)
        for bucket in ("photos", "videos", "others"):
            found = await asyncio.to_thread(allowed_bucket_calls, cloud, key, bucket)
            assert found == expected_bucket_calls(apps, role, bucket), (role, bucket)


CONFIG = f"""\
version: 1
server: {{secret: a-secret-of-the-signers-of-the-tests}}
credentials:
  instance: {{type: ecs_ram_role}}
  pod: {{type: oidc, role_arn: "acs:ram::{ACCOUNT}:role/oss-pod", provider_arn: "{PROVIDER}", token_file: /token}}
defaults: {{region: cn-hangzhou, credentials: instance}}
apps:
  a: {{bucket: photos, key_prefix: "a&b/", multipart: {{}}, cors_origins: [{PAGE}]}}
  b: {{bucket: photos, key_prefix: b/, credentials: pod, headers: {{x-oss-server-side-encryption: KMS}}}}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "signer.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return str(path)


def test_the_text_can_be_pasted(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policies", "--config", config]) == 0
    text = capsys.readouterr().out
    assert text.startswith(
        "credentials.instance: the RAM role of the instance\n\npolicy: https://ram.console.aliyun.com/"
    )
    documents = [
        json.loads(each) for each in text.split("\n\n") for each in [each.partition("\n")[2]] if each[:1] == "{"
    ]
    assert [each["Statement"][0].get("Principal", {}) for each in documents] == [
        {},
        {"Service": ["ecs.aliyuncs.com"]},
        {},
        {"Federated": [PROVIDER]},
    ]
    kms = {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": ["acs:kms:*:*:key/*"]}
    assert kms in documents[2]["Statement"]
    assert "<Prefix>a&amp;b/</Prefix>" in text
    assert "\nrequest domains in the WeChat console: https://photos.oss-cn-hangzhou.aliyuncs.com\n" in text


def test_one_role_or_bucket_is_chosen(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policies", "--config", config, "--role", "pod", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert ([*document["roles"]], document["buckets"]) == (["pod"], {})
    assert main(["policies", "--config", config, "--bucket", "photos", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["roles"], [*document["buckets"]]) == ({}, ["photos"])
    assert document["buckets"]["photos"]["cors"]["CORSConfiguration"]["CORSRule"][0]["AllowedMethod"] == ["POST", "PUT"]
    for option, known in (("role", "instance, pod"), ("bucket", "photos")):
        assert main(["policies", "--config", config, f"--{option}", "nobodys"]) == 1
        assert capsys.readouterr().out == f"unknown {option}; use one of: {known}\n"


def test_pages_with_temporary_credentials_need_the_methods_of_their_actions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = {
        "bucket": "photos",
        "region": "cn-hangzhou",
        "credentials": "r",
        "key_prefix": "p/{caller}/",
        "cors_origins": [PAGE],
        "callers": {"type": "api_key", "keys": {"shop": "0" * 64}},
    }
    role = {"type": "assume_role", "role_arn": "acs:ram::1:role/x", "access_key_id": "a", "access_key_secret": "b"}
    found = {}
    for actions in (["upload"], ["read"], ["upload", "multipart", "read"]):
        apps = {"a": {**app, "temporary_credentials": {"actions": actions}}}
        file = tmp_path / "signer.yaml"
        file.write_text(json.dumps({"version": 1, "credentials": {"r": role}, "apps": apps}), encoding="utf-8")
        assert main(["policies", "--config", str(file), "--json"]) == 0
        cors = json.loads(capsys.readouterr().out)["buckets"]["photos"]["cors"]
        found[actions[-1], len(actions)] = cors["CORSConfiguration"]["CORSRule"][0]["AllowedMethod"]
    assert found == {
        ("upload", 1): ["POST", "PUT"],
        ("read", 1): ["POST", "GET", "HEAD"],
        ("read", 3): ["POST", "PUT", "GET", "HEAD", "DELETE"],
    }


def test_a_long_policy_is_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "signer.yaml"
    head = CONFIG.partition("apps:")[0]
    apps = "".join(f"  app{number}: {{bucket: photos, key_prefix: p{number}/}}\n" for number in range(2000))
    path.write_text(f"{head}apps:\n{apps}", encoding="utf-8")
    assert main(["policies", "--config", str(path), "--json"]) == 0
    policies = json.loads(capsys.readouterr().out)["roles"]["instance"]["policies"]
    assert len(policies) > 10
    assert all(len(json.dumps(each, indent=2)) <= 6144 for each in policies)
    resources = [each for policy in policies for statement in policy["Statement"] for each in statement["Resource"]]
    assert sorted(resources) == sorted(["acs:oss:*:*:photos", *(f"acs:oss:*:*:photos/p{n}/*" for n in range(2000))])
    assert main(["policies", "--config", str(path)]) == 0
    assert "warning: RAM attaches at most 10 policies of your own" in capsys.readouterr().out
