"""An AccessKey that is rotated in a file is used without a restart."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.e2e.client_load import failures, requesting_forms
from tests.harness.files import replace
from tests.harness.local_cloud import local_cloud
from tests.harness.signer import signer
from tests.harness.waiting import wait_until


@pytest.mark.slow
@pytest.mark.parametrize("place", ["secret file", "environment file"])
async def test_a_rotated_access_key_is_used_without_a_failed_request(
    place: str, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """STS rejects the old secret, then the new one is written, then a mistyped one, then the right one again."""
    file = tmp_path / "secret"
    line, reference = ("{}\n", f"${{file:{file}}}") if place == "secret file" else ("SECRET={}\n", "${SECRET}")
    file.write_text(line.format("local-secret"), encoding="utf-8")
    environ = {} if place == "secret file" else {"OSS_SIGNER_ENV_FILE": str(file)}
    async with local_cloud(session, "--token-seconds", "16") as cloud:
        (config := tmp_path / "signer.yaml").write_text(
            'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
            f'credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}", min_remaining: 1s, '
            f"access_key_secret: '{reference}'}}}}\n"
            "apps: {a: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r, expires: 10s}}\n",
            encoding="utf-8",
        )
        async with signer(session, config, environ=environ) as running, requesting_forms(running, ["a"]) as responses:
            rotated = {"secret": "rotated-secret", "enabled": True}
            async with session.put(f"{cloud.oss}/-/access-keys/LTAI-local", json=rotated) as response:
                assert response.status == 200, await response.text()
            await wait_until(lambda: running.log("credential refresh failed"))
            replace(file, line.format("rotated-secret"))
            await wait_until(lambda: len(running.log("credential refreshed")) >= 2)
            failed = len(running.log("credential refresh failed"))
            replace(file, line.format("mistyped-secret"))
            await wait_until(lambda: len(running.log("credential refresh failed")) > failed)
            failure = running.log("credential refresh failed")[-1]
            replace(file, line.format("rotated-secret"))
            await wait_until(lambda: len(running.log("credential refreshed")) >= 3)
            output = "".join(running.output)
            keys = {each.key_id for each in responses}
    assert not failures(responses)
    assert len(keys) >= 2
    assert failure["level"] == "error"
    assert "the AccessKey was changed and the new one fails" in failure["error"]
    assert "-secret" not in output
