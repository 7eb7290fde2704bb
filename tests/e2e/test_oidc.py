"""`type: oidc`: a pod's token, as RRSA passes it in the environment, and as it is replaced while the pod runs."""

from __future__ import annotations

import os
from pathlib import Path

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud
from tests.harness.oss_upload import post_object
from tests.harness.signer import signer
from tests.harness.waiting import wait_until
from tests.localcloud.sdk import PROVIDER, ROLE
from tests.localcloud.test_oidc import token

CONFIG = """
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{pod: {{type: oidc, endpoint: "{sts}", scope: app}}}}
apps: {{a: {{bucket: photos, region: cn-hangzhou, domain: "{url}", credentials: pod, key_prefix: a/}}}}
"""


async def test_a_pod_signs_without_an_access_key_and_reads_its_token_again(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    url = await cloud.create_bucket("photos")
    config, token_file = tmp_path / "signer.yaml", tmp_path / "token"
    config.write_text(CONFIG.format(sts=cloud.sts, url=url), encoding="utf-8")
    stale = token(exp=1)
    token_file.write_text(stale, encoding="ascii")
    environ = {
        "ALIBABA_CLOUD_ROLE_ARN": ROLE,
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": PROVIDER,
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(token_file),
    }
    async with signer(session, config, environ=environ) as running:
        async with session.get(f"{running.admin}/readyz") as response:
            [role] = (await response.json())["roles"]
        assert "AuthenticationFail.OIDCToken.Expired" in role["last_error"]
        fresh = token()
        token_file.write_text(fresh, encoding="ascii")
        await wait_until(running.is_ready)
        form = await running.upload_form("a", {"filename": "a.jpg"})
        assert (await post_object(session, url, form["fields"], b"x"))[0] == 200
        assert stale not in "".join(running.output)
        assert fresh not in "".join(running.output)


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "No such file or directory"), ("pipe", "Not a regular file")])
async def test_a_token_file_that_cannot_be_read_is_reported(
    name: str, reason: str, cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    config = tmp_path / "signer.yaml"
    config.write_text(CONFIG.format(sts=cloud.sts, url=f"{cloud.oss}/photos"), encoding="utf-8")
    environ = {
        "ALIBABA_CLOUD_ROLE_ARN": ROLE,
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": PROVIDER,
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(tmp_path / name),
    }
    async with (
        signer(session, config, environ=environ) as running,
        session.get(f"{running.admin}/readyz") as response,
    ):
        [role] = (await response.json())["roles"]
    assert f"the OIDC token file {tmp_path / name} cannot be read: {reason}" in role["last_error"]
