"""Where credentials come from, each for real: STS and metadata as their SDKs call them."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.processes import run
from tests.harness.programs import require_program
from tests.harness.signer import signer

HEAD = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'

IN_NAMESPACE = """
set -e
ip link set lo up
ip addr add 100.100.100.200/32 dev lo
exec "$0" tests/e2e/in_namespace.py
"""


async def test_secrets_may_stand_in_files(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    url = await cloud.create_bucket("photos")
    (tmp_path / "ak-secret").write_text("local-secret\n", encoding="utf-8")
    config = tmp_path / "signer.yaml"
    config.write_text(
        f"""{HEAD}
credentials:
  r:
    type: assume_role
    endpoint: "{cloud.sts}"
    access_key_secret: ${{file:{tmp_path}/ak-secret}}
apps: {{a: {{bucket: photos, region: cn-hangzhou, domain: "{url}", credentials: r}}}}
""",
        encoding="utf-8",
    )
    async with signer(session, config, environ={"OSS_ACCESS_KEY_SECRET": "wrong"}) as running:
        form = await running.upload_form("a", {"filename": "a.jpg"})
        assert (await post_object(session, url, form["fields"], b"x"))[0] == 200


async def test_the_instance_role_assumes_others_without_any_access_key(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    url = await cloud.create_bucket("photos")
    config = tmp_path / "signer.yaml"
    config.write_text(
        f"""{HEAD}
credentials:
  instance: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}
  other:
    type: assume_role
    source: instance
    role_arn: acs:ram::1234567890123456:role/other
    endpoint: "{cloud.sts}"
  third:
    type: assume_role
    source: other
    role_arn: acs:ram::1234567890123456:role/third
    endpoint: "{cloud.sts}"
    scope: app
defaults: {{bucket: photos, region: cn-hangzhou, domain: "{url}"}}
apps: {{a: {{credentials: third, key_prefix: a/}}, b: {{credentials: third, key_prefix: b/}}}}
""",
        encoding="utf-8",
    )
    async with signer(session, config) as running:
        for app in ("a", "b"):
            form = await running.upload_form(app, {"filename": "a.jpg"})
            assert (await post_object(session, url, form["fields"], b"x"))[0] == 200
        counts = await cloud.counts()
        assert (counts["metadata.credentials"], counts["sts.AssumeRole"]) == (1, 3)
        async with session.get(f"{running.admin}/readyz") as response:
            roles = {role["role"] for role in (await response.json())["roles"]}
            assert roles == {"instance", "other", "third/a", "third/b"}


async def test_hardened_metadata_is_served_with_a_token(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with local_cloud(session, "--hardened") as cloud:
        config = tmp_path / "signer.yaml"
        config.write_text(
            f'{HEAD}credentials: {{r: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}\n'
            "apps: {a: {bucket: photos, region: cn-hangzhou, credentials: r}}\n",
            encoding="utf-8",
        )
        async with signer(session, config) as running:
            await running.upload_form("a")
        counts = await cloud.counts()
        assert (counts["metadata.credentials"], counts["metadata.role"]) == (1, 1)
        assert counts["metadata.token"] >= 1


async def test_a_token_is_replaced_before_it_gets_too_old(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Tokens of 8 s for forms of 5 s: every form that is handed out stays good for its whole 5 s."""
    async with local_cloud(session, "--token-seconds", "8") as cloud:
        config = tmp_path / "signer.yaml"
        config.write_text(
            f'{HEAD}credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}\n'
            "apps: {a: {bucket: photos, region: cn-hangzhou, credentials: r, expires: 5s}}\n",
            encoding="utf-8",
        )
        async with signer(session, config) as running:
            keys: set[str] = set()
            async with asyncio.timeout(60):
                while len(keys) < 4:
                    form = await running.upload_form("a")
                    keys.add(form["fields"]["x-oss-credential"].split("/")[0])
                    signed = form["fields"]["x-oss-date"]
                    seconds = int(form["expires_at"][17:19]) - int(signed[13:15])
                    assert seconds % 60 == 5, (signed, form["expires_at"])
                    await asyncio.sleep(0.02)


async def test_the_real_metadata_address_needs_no_setting() -> None:
    """In a network namespace of its own, where loopback has 100.100.100.200."""
    unshare = require_program("unshare")
    require_program("ip")
    if (await run(unshare, "-rn", "true")).status != 0:
        pytest.skip("this system allows no network namespaces")
    result = await run(unshare, "-rn", "bash", "-c", IN_NAMESPACE, sys.executable)
    assert result.status == 0, result.err
    assert json.loads(result.out)["fields"]["x-oss-credential"].startswith("STS.")


async def test_a_revoked_source_is_fetched_anew_when_sts_says_so(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The instance's token has hours to go by its own word; only the refusal of the role assumed with it tells."""
    async with local_cloud(session) as cloud:
        short = {"kind": "nearly_expired", "seconds": 6}
        await cloud.set_faults(sts=short)
        url = await cloud.create_bucket("photos")
        config = tmp_path / "signer.yaml"
        config.write_text(
            f"""{HEAD}
credentials:
  instance: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}
  other:
    type: assume_role
    source: instance
    role_arn: acs:ram::1234567890123456:role/other
    endpoint: "{cloud.sts}"
    min_remaining: 1s
defaults: {{bucket: photos, region: cn-hangzhou, domain: "{url}", expires: 5s}}
apps: {{a: {{credentials: other}}}}
""",
            encoding="utf-8",
        )
        async with signer(session, config) as running:
            before = (await running.upload_form("a"))["fields"]["x-oss-credential"]
            await cloud.set_faults(sts=[short, {"kind": "revoked"}])
            await cloud.set_faults(sts=short)
            async with asyncio.timeout(60):
                while True:
                    form = await running.upload_form("a", {"filename": "a.jpg"})
                    status, _, _ = await post_object(session, url, form["fields"], b"x")
                    if status == 200:
                        break
                    await asyncio.sleep(0.1)
            assert form["fields"]["x-oss-credential"] != before
            assert (await cloud.counts())["metadata.credentials"] == 2
