"""The sample's page uploads thirty files over a bad network, and the local cloud has each of them exactly once."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.npm import install_packages
from tests.harness.signer import signer
from tests.miniprogram_sample.simulated import HERE, next_report, node, project

ENDPOINT = "http://127.0.0.1:1"
"""The signer's address in the page's settings; the simulated phone connects to another port."""
BUCKET = "sample-photos"
SEED = 3
"""With this seed, the 11th and the 13th upload are among the 5 %, and again after the restart."""
SIZES = {
    "images": {f"photo-{number}.png": 30_000 + 7_000 * number for number in range(12)},
    "videos": {f"clip-{number}.mp4": 400_000 + 90_000 * number for number in range(4)},
    "documents": {f"报告 {number}.pdf": 25_000 + 11_000 * number for number in range(14)},
}


def definitions(cloud: Cloud) -> str:
    return f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{instance: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}
defaults: {{region: cn-hangzhou, credentials: instance}}
apps:
  wx1234567890abcdef:
    bucket: {BUCKET}
    domain: "{cloud.oss}/{BUCKET}"
    key_prefix: sample/
    max_size: 5MiB
    expires: 2s
    headers: {{x-oss-forbid-overwrite: "true"}}
"""


async def set_faults(cloud: Cloud, **more: Any) -> None:
    faults = {"oss": [{"kind": "status", "status": 503, "probability": 0.05}], **more}
    async with cloud.session.put(f"{cloud.oss}/-/faults", json=faults, params={"seed": SEED}) as response:
        assert response.status == 200, await response.text()


@pytest.mark.slow
async def test_thirty_files_arrive_exactly_once_through_a_bad_network(tmp_path: Path) -> None:
    await install_packages(HERE)
    files = tmp_path / "files"
    files.mkdir()
    names = [name for sizes in SIZES.values() for name in sizes]
    for sizes in SIZES.values():
        for name, size in sizes.items():
            (files / name).write_bytes(os.urandom(size))
    assert len(names) == 30

    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        await cloud.create_bucket(BUCKET)
        await set_faults(cloud)
        config = tmp_path / "signer.yaml"
        config.write_text(definitions(cloud), encoding="utf-8")
        async with signer(session, config) as first:
            sample = project(tmp_path, {"endpoint": ENDPOINT, "appId": "wx1234567890abcdef"})
            parameters = {
                "project": str(sample),
                "files": str(files),
                "endpoint": ENDPOINT,
                "signer": first.public,
                "oss": cloud.oss,
                **{kind: list(sizes) for kind, sizes in SIZES.items()},
            }
            async with node("bad_network_run.cjs", parameters) as run:
                assert await next_report(run) == "cut"
                await set_faults(cloud, sts={"kind": "revoked"})
                await first.stop()
                async with signer(session, config) as second:
                    run.write_line(second.public)
                    report = await next_report(run)
                    assert second.process.returncode is None
        await cloud.set_faults()
        stored = {each["key"]: each for each in await cloud.objects(BUCKET)}
        contents = {key: await cloud.content(BUCKET, key) for key in stored}
        async with session.get(f"{cloud.oss}/-/calls", params={"action": "PostObject"}) as response:
            calls = await response.json()

    print({key: report[key] for key in ("tally", "rounds", "failed", "seen")}, file=sys.stderr)
    assert report["files"] == []
    assert report["total"]["percent"] == 100
    assert report["backwards"] == []
    assert report["screens"][0] is True and report["screens"][-1] is False

    uploaded = report["uploaded"]
    assert len(uploaded) == len(stored) == len({each["key"] for each in uploaded}) == 30
    assert {each["key"] for each in uploaded} == set(stored)
    assert all(each["url"] == f"{cloud.oss}/{BUCKET}/{each['key']}" for each in uploaded if each["key"].isascii())
    arrived = sorted(hashlib.sha256(content).hexdigest() for content in contents.values())
    assert arrived == sorted(hashlib.sha256((files / name).read_bytes()).hexdigest() for name in names)
    for each in uploaded:
        if each["name"] in names:
            assert contents[each["key"]] == (files / each["name"]).read_bytes()
    written = [call["who"] for call in calls if call["status"] == 200]
    assert sorted(written) == sorted(stored)

    tally = report["tally"]
    assert {
        "uploadFile:fail net::ERR_CONNECTION_RESET",
        "503",
        "FileAlreadyExists",
        "Invalid according to Policy: Policy expired.",
        "InvalidSecurityToken",
    } <= set(tally)
