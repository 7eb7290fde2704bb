"""The demo signs every app of the operator's definitions with the local cloud's credentials."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from signer.callers.caller import Caller
from signer.definitions.parser import parse
from signer.demo.local_cloud import CannotStart, LocalCloud, set_faults
from signer.demo.relocation import relocate
from signer.environment import Environment
from signer.service import Service
from signer.signing.upload_rules import UploadRequest
from tests.harness.local_cloud import local_cloud

LISTEN = {"public": "127.0.0.1:5000", "admin": "127.0.0.1:9180"}
DEFINITIONS = """\
version: 1
limits: redis://127.0.0.1:1/0
credentials:
  instance: {type: ecs_ram_role}
  partner: {type: assume_role, source: instance, role_arn: "acs:ram::1:role/oss-upload", external_id: photos}
  key: {type: assume_role, role_arn: "acs:ram::1:role/oss-upload", access_key_id: LTAI, access_key_secret: real}
  pod:
    type: oidc
    role_arn: acs:ram::1:role/oss-upload
    provider_arn: acs:ram::1:oidc-provider/c1
    token_file: /nonexistent/token
  chain: {type: default}
  fixed: {type: static, access_key_id: LTAI, access_key_secret: real}
defaults: {region: cn-hangzhou}
apps:
  a: {key_prefix: '', bucket: photos, credentials: instance}
  b: {key_prefix: '', bucket: photos, credentials: partner}
  c: {key_prefix: '', bucket: others, credentials: key, domain: https://upload.example.com}
  d: {key_prefix: '', bucket: others, credentials: pod, region: cn-shanghai}
  e: {key_prefix: '', bucket: photos, credentials: chain}
  f: {key_prefix: '', bucket: photos, credentials: fixed}
"""


async def test_every_kind_of_credential_signs_for_the_local_oss() -> None:
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        servers = LocalCloud(cloud.metadata, cloud.sts, cloud.oss)
        registry = parse({"signer.yaml": DEFINITIONS.replace("others, credentials: pod", "more, credentials: pod")}, {})
        moved = await asyncio.to_thread(relocate, servers, registry, **LISTEN, oss=cloud.oss)
        assert (moved.server.listen, moved.server.admin, moved.limits) == ("127.0.0.1:5000", "127.0.0.1:9180", None)
        async with Service(moved, Environment({})) as service:
            await service.settle(timeout_seconds=30)
            for app in moved.apps.values():
                upload = await service.sign_form(
                    service.current, app, Caller(None), UploadRequest("cat.jpg", None, None)
                )
                assert upload.url == f"{cloud.oss}/{app.rules.bucket}", app.id


@pytest.mark.parametrize(
    ("texts", "faults"),
    [
        ([], {}),
        (["sts:hang"], {"sts": {"kind": "hang"}}),
        (["sts:latency=3", "oss:clock=-1200"], {"sts": {"seconds": 3}, "oss": {"offset_seconds": -1200}}),
        (["metadata:status=502", "sts:latency=0.5"], {"metadata": {"status": 502}, "sts": {"seconds": 0.5}}),
    ],
)
async def test_faults_are_set_from_texts(texts: list[str], faults: dict[str, dict[str, object]]) -> None:
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        await set_faults(session, LocalCloud(cloud.metadata, cloud.sts, cloud.oss), texts)
        async with session.get(f"{cloud.oss}/-/faults") as response:
            found = await response.json()
    assert found.keys() == faults.keys()
    for server, members in faults.items():
        assert members.items() <= found[server].items()


@pytest.mark.parametrize("text", ["sts:fire", "moon:hang", "sts:latency=x", "sts"])
async def test_an_unknown_fault_is_an_error(text: str) -> None:
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        with pytest.raises(CannotStart, match=f"--fault {text}: "):
            await set_faults(session, LocalCloud(cloud.metadata, cloud.sts, cloud.oss), [text])
