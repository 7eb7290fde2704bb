"""`doctor` names a metadata service that issues no metadata token, and one that is not enabled."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.doctor.reports import doctor
from tests.harness.local_cloud import local_cloud

CONFIG = """\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{instance: {{type: ecs_ram_role, endpoint: "{metadata}"}}}}
apps: {{a: {{key_prefix: a/, bucket: photos, region: ap-southeast-1, credentials: instance}}}}
"""


@pytest.mark.parametrize(
    ("status", "what", "fix"),
    [
        (404, "issues no metadata token (404): it has only the normal mode (v1)", "with the hardened mode (v2)"),
        (405, "does not accept PUT for a metadata token (405)", "let the proxy forward PUT"),
        (403, "returned no metadata token (403)", "--HttpEndpoint enabled"),
    ],
)
async def test_a_refused_metadata_token_is_not_a_missing_role(tmp_path: Path, status: int, what: str, fix: str) -> None:
    config = tmp_path / "signer.yaml"
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        config.write_text(CONFIG.format(metadata=cloud.metadata), encoding="utf-8")
        if status == 403:
            await cloud.set_faults(metadata={"kind": "status", "status": 403})
        else:
            await cloud.set_metadata_token(status)
        report = await doctor("--config", config, "--oss-endpoint", cloud.oss, "--json")
    [failed] = report.of("metadata")
    assert (failed["verdict"], failed["subject"]) == ("failed", "instance")
    assert what in failed["what"] and fix in failed["fix"]
    assert "no RAM role is attached" not in report.out
