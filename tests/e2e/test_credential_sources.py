"""Sources of credentials: STS and the metadata service, called by Alibaba's SDKs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.processes import run
from tests.harness.programs import require_program
from tests.harness.signer import signer
from tests.harness.waiting import wait_until

HEAD = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'

IN_NAMESPACE = """
set -e
ip link set lo up
ip addr add 100.100.100.200/32 dev lo
exec "$0" tests/e2e/in_namespace.py
"""


async def test_a_secret_can_be_read_from_a_file(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> None:
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
apps: {{a: {{key_prefix: '', bucket: photos, region: cn-hangzhou, domain: "{url}", credentials: r}}}}
""",
        encoding="utf-8",
    )
    async with signer(session, config, environ={"OSS_ACCESS_KEY_SECRET": "wrong"}) as running:
        form = await running.upload_form("a", {"filename": "a.jpg"})
        assert (await post_object(session, url, form["fields"], b"x"))[0] == 200


async def test_the_instance_role_assumes_other_roles_without_an_access_key(
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
defaults: {{key_prefix: '', bucket: photos, region: cn-hangzhou, domain: "{url}"}}
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


async def test_hardened_metadata_is_read_with_a_token(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with local_cloud(session, "--hardened") as cloud:
        config = tmp_path / "signer.yaml"
        config.write_text(
            f'{HEAD}credentials: {{r: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}\n'
            "apps: {a: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r}}\n",
            encoding="utf-8",
        )
        async with signer(session, config) as running:
            await running.upload_form("a")
        counts = await cloud.counts()
        assert (counts["metadata.credentials"], counts["metadata.role"]) == (1, 1)
        assert counts["metadata.token"] >= 1


@pytest.mark.slow
async def test_a_token_is_refreshed_before_forms_get_shorter(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Tokens live for 25 s, and every form has its full 5 s."""
    async with local_cloud(session, "--token-seconds", "25") as cloud:
        config = tmp_path / "signer.yaml"
        config.write_text(
            f'{HEAD}credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}\n'
            "apps: {a: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r, expires: 5s}}\n",
            encoding="utf-8",
        )
        async with signer(session, config) as running:
            keys: set[str] = set()

            async def two_refreshes() -> bool:
                form = await running.upload_form("a")
                keys.add(form["fields"]["x-oss-credential"].split("/")[0])
                signed = form["fields"]["x-oss-date"]
                seconds = int(form["expires_at"][17:19]) - int(signed[13:15])
                assert seconds % 60 == 5, (signed, form["expires_at"])
                return len(keys) == 3

            await wait_until(two_refreshes)


async def test_the_real_metadata_address_needs_no_setting() -> None:
    """In a network namespace whose loopback interface has the address 100.100.100.200.

    There the SDK's default chain uses it as well, and not in its normal mode (v1) either.
    """
    unshare = require_program("unshare")
    require_program("ip")
    if (await run(unshare, "-rn", "true")).status != 0:
        pytest.skip("this system allows no network namespaces")
    result = await run(unshare, "-rn", "bash", "-c", IN_NAMESPACE, sys.executable)
    assert result.status == 0, result.err
    found = json.loads(result.out)
    assert [form["fields"]["x-oss-credential"].partition(".")[0] for form in found["forms"]] == ["STS", "STS"]
    assert (found["status_without_tokens"], found["calls_without_tokens"]) == (503, 0)


async def test_a_revoked_source_token_is_refreshed_when_sts_rejects_it(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The instance's token is valid for hours; only the rejection of the role that is assumed with it shows otherwise."""
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
defaults: {{key_prefix: '', bucket: photos, region: cn-hangzhou, domain: "{url}", expires: 5s}}
apps: {{a: {{credentials: other}}}}
""",
            encoding="utf-8",
        )
        async with signer(session, config) as running:
            before = (await running.upload_form("a"))["fields"]["x-oss-credential"]
            await cloud.set_faults(sts=[short, {"kind": "revoked"}])
            await cloud.set_faults(sts=short)

            async def accepted_form() -> dict[str, Any] | None:
                form = await running.upload_form("a", {"filename": "a.jpg"})
                status, _, _ = await post_object(session, url, form["fields"], b"x")
                return form if status == 200 else None

            form = await wait_until(accepted_form)
            assert form["fields"]["x-oss-credential"] != before
            assert (await cloud.counts())["metadata.credentials"] == 2
