"""How often the local cloud is asked for credentials."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from tests.harness.local_cloud import Cloud
from tests.harness.signer import signer

APPS, ROLES = 20, 5


async def test_twenty_apps_on_five_roles_make_five_fetches(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    roles = "".join(
        f'  r{n}: {{type: assume_role, endpoint: "{cloud.sts}", role_arn: "acs:ram::1234567890123456:role/r{n}"}}\n'
        for n in range(ROLES)
    )
    apps = "".join(f"  a{n}: {{bucket: photos, credentials: r{n % ROLES}}}\n" for n in range(APPS))
    config = tmp_path / "signer.yaml"
    config.write_text(
        f'version: 1\nserver: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}\n'
        f"credentials:\n{roles}defaults: {{region: cn-hangzhou}}\napps:\n{apps}",
        encoding="utf-8",
    )
    async with signer(session, config) as running:
        forms = await asyncio.gather(*(running.upload_form(f"a{n % APPS}") for n in range(APPS * 10)))
        keys = {form["fields"]["x-oss-credential"].split("/")[0] for form in forms}
        assert len(keys) == ROLES
        assert (await cloud.counts())["sts.AssumeRole"] == ROLES


async def test_requests_that_come_before_the_credential_wait_for_one_fetch(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    await cloud.set_faults(sts={"kind": "latency", "seconds": 1})
    config = tmp_path / "signer.yaml"
    config.write_text(
        f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}
apps: {{a: {{bucket: photos, region: cn-hangzhou, credentials: r}}}}
""",
        encoding="utf-8",
    )
    async with signer(session, config, wait_for="listening") as running:
        await asyncio.gather(*(running.upload_form("a") for _ in range(100)))
        assert (await cloud.counts())["sts.AssumeRole"] == 1
