"""`doctor` checks what downloads and deletes need of the role, and prints the rules that are missing."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.doctor.reports import allow, doctor
from tests.harness.local_cloud import local_cloud

CONFIG = """\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
  good: {{type: assume_role, endpoint: "{sts}", role_arn: "acs:ram::1234567890123456:role/oss-upload", access_key_id: LTAI-local, access_key_secret: "${{AK_SECRET}}"}}
  narrow: {{type: assume_role, endpoint: "{sts}", role_arn: "acs:ram::1234567890123456:role/oss-narrow", access_key_id: LTAI-local, access_key_secret: "${{AK_SECRET}}"}}
defaults:
  region: ap-southeast-1
  credentials: good
  bucket: photos
  callers: {{type: api_key, keys: {{shop: "{key}"}}}}
apps:
  good: {{key_prefix: "good/{{caller}}/", downloads: {{also: [public/]}}, deletes: true}}
  narrow: {{key_prefix: "narrow/{{caller}}/", credentials: narrow, downloads: {{also: [banners/]}}, deletes: true}}
  plain: {{key_prefix: plain/}}
"""


@pytest.mark.parametrize("write", [False, True], ids=["", "write"])
async def test_the_role_is_checked_for_downloads_and_deletes(write: bool, tmp_path: Path) -> None:
    config = tmp_path / "signer.yaml"
    config.touch(mode=0o600)
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        config.write_text(CONFIG.format(sts=cloud.sts, key="1" * 64), encoding="utf-8")
        await cloud.create_bucket("photos", "ap-southeast-1")
        policy = allow(["oss:PutObject", "oss:GetObject"], ["acs:oss:*:*:photos/narrow/*"])
        async with session.put(f"{cloud.oss}/-/roles/oss-narrow", json={"policy": policy}) as response:
            assert response.status < 300
        options = ["--write"] if write else []
        report = await doctor("--config", config, "--oss-endpoint", cloud.oss, "--json", *options)
        deletes = await cloud.calls("DeleteObject")

    found = {each["subject"].partition(" ")[0]: each for each in report.of("objects")}
    assert set(found) == {"photos/good/*", "photos/public/*", "photos/narrow/*", "photos/banners/*"}
    assert found["photos/public/*"]["what"] == "the role may read objects there"
    assert found["photos/banners/*"]["what"] == "the role lacks oss:GetObject for downloads and deletes"
    assert '"acs:oss:*:*:photos/banners/*"' in found["photos/banners/*"]["fix"]
    if write:
        assert found["photos/good/*"]["what"] == "the role may read and delete objects there"
        assert found["photos/narrow/*"]["what"] == "the role lacks oss:DeleteObject for downloads and deletes"
    else:
        assert found["photos/good/*"]["what"] == "the role may read objects there"
        assert found["photos/narrow/*"]["verdict"] == "ok"
        assert deletes == []
