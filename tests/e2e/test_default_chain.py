"""`type: default`: the credentials that the SDK's default chain finds."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud
from tests.harness.oss_upload import post_object
from tests.harness.signer import signer

CONFIG = """
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{r: {{type: default}}}}
apps: {{a: {{key_prefix: '', bucket: photos, region: cn-hangzhou, domain: "{url}", credentials: r}}}}
"""
PATH = "/latest/meta-data/ram/security-credentials/oss-uploader"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which the chain finds nothing."""
    return {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true", "HOME": str(tmp_path)}


async def upload(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]) -> str:
    """Upload with a form, and return the AccessKey id that signed it."""
    url = await cloud.create_bucket("photos")
    config = tmp_path / "signer.yaml"
    config.write_text(CONFIG.format(url=url), encoding="utf-8")
    async with signer(session, config, environ=environ) as running:
        form = await running.upload_form("a", {"filename": "a.jpg"})
        status, body, _ = await post_object(session, url, form["fields"], b"x")
        assert status == 200, body
        assert "local-secret" not in "".join(running.output)
        key_id: str = form["fields"]["x-oss-credential"].partition("/")[0]
        return key_id


async def test_an_access_key_in_the_environment(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]
) -> None:
    environ |= {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI-local", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "local-secret"}
    assert await upload(cloud, session, tmp_path, environ) == "LTAI-local"


async def test_a_profile_of_the_command_line_tool(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]
) -> None:
    profile = {
        "name": "default",
        "mode": "AK",
        "access_key_id": "LTAI-local",
        "access_key_secret": "local-secret",
    }
    (tmp_path / ".aliyun").mkdir()
    (tmp_path / ".aliyun/config.json").write_text(
        json.dumps({"current": "default", "profiles": [profile]}), encoding="utf-8"
    )
    assert await upload(cloud, session, tmp_path, environ) == "LTAI-local"


async def test_a_credentials_uri_and_its_expiry(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]
) -> None:
    config = tmp_path / "signer.yaml"
    config.write_text(CONFIG.format(url=f"{cloud.oss}/photos"), encoding="utf-8")
    environ |= {"ALIBABA_CLOUD_CREDENTIALS_URI": cloud.metadata + PATH}
    async with (
        signer(session, config, environ=environ) as running,
        session.get(f"{running.admin}/readyz") as response,
    ):
        [role] = (await response.json())["roles"]
    assert role["state"] == "fresh"
    assert role["expires_in_seconds"] > 5 * 3600
    assert (await upload(cloud, session, tmp_path, environ)).startswith("STS.")


async def test_a_chain_without_credentials_is_reported(
    session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]
) -> None:
    config = tmp_path / "signer.yaml"
    config.write_text(CONFIG.format(url="http://127.0.0.1:1/photos"), encoding="utf-8")
    async with signer(session, config, environ=environ) as running:
        async with session.get(f"{running.admin}/readyz") as response:
            [role] = (await response.json())["roles"]
        assert response.status == 503
        assert "default chain" in role["last_error"]
