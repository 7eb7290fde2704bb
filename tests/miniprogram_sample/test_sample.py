"""The sample in the simulator."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.harness.demo import demo
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.npm import install_packages
from tests.harness.processes import ROOT, run
from tests.harness.signer import Signer, signer
from tests.miniprogram_sample.simulated import HERE, SAMPLE, next_report, node, project

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDPOINT = "http://127.0.0.1:1"
"""The signer's address in the page's settings; the simulated phone connects to another port."""
BLOCK = re.compile(r"^(```\w+\n.*?^```)$", re.MULTILINE | re.DOTALL)
DEMO_ENDPOINT = "http://127.0.0.1:5000"
"""The address of `make demo`, which is in the sample's settings."""
IMAGES = ["photo-1.png", "photo-2.png"]
DOCUMENTS = ["报告 1.pdf", "notes.pdf", "plan.pdf"]
FILES = dict.fromkeys([*IMAGES, *DOCUMENTS, "clip.mp4"], 60_000) | {"large.pdf": 300_000}


@dataclass
class Site:
    """A local cloud, a signer, and the files that the user picks."""

    cloud: Cloud
    signer: Signer
    files: Path

    async def contents(self, bucket: str) -> dict[str, bytes]:
        return {each["key"]: await self.cloud.content(bucket, each["key"]) for each in await self.cloud.objects(bucket)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    await install_packages(HERE)
    directory = tmp_path_factory.mktemp("sample")
    files = directory / "files"
    files.mkdir()
    for name, size in FILES.items():
        (files / name).write_bytes(os.urandom(size))
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        for bucket in ("tour", "unknown"):
            await cloud.create_bucket(bucket)
        config = directory / "signer.yaml"
        config.write_text(
            f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{instance: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}
defaults: {{region: cn-hangzhou, credentials: instance, max_size: 200KiB}}
apps:
  tour: {{bucket: tour, domain: "{cloud.oss}/tour", key_prefix: tour/}}
  unknown: {{key_prefix: '', bucket: unknown, domain: "{cloud.oss}/unknown", key: "{{uuid}}.{{ext}}", expires: 2s}}
""",
            encoding="utf-8",
        )
        async with signer(session, config) as running:
            yield Site(cloud, running, files)


async def scenario(site: Site, directory: Path, name: str) -> dict[str, object]:
    parameters = {
        "scenario": name,
        "project": str(project(directory, {"endpoint": ENDPOINT, "appId": name})),
        "files": str(site.files),
        "endpoint": ENDPOINT,
        "signer": site.signer.public,
        "oss": site.cloud.oss,
        "images": IMAGES,
        "documents": DOCUMENTS,
        "videos": ["clip.mp4"],
        "tooLarge": "large.pdf",
    }
    async with node("tour_run.cjs", parameters) as run:
        report: dict[str, object] = await next_report(run)
    return report


async def test_a_user_uploads_cancels_and_retries_files(site: Site, tmp_path: Path) -> None:
    report = await scenario(site, tmp_path, "tour")
    stored = await site.contents("tour")
    names = [*IMAGES, *DOCUMENTS, "clip.mp4"]
    assert sorted(stored.values()) == sorted((site.files / name).read_bytes() for name in names)
    uploaded = report["uploaded"]
    assert isinstance(uploaded, list) and {each["key"] for each in uploaded} == set(stored)
    async with site.cloud.session.get(str(report["link"])) as response:
        assert await response.read() == (site.files / DOCUMENTS[0]).read_bytes()


async def test_a_file_that_may_be_stored_is_sent_again_only_after_confirmation(site: Site, tmp_path: Path) -> None:
    report = await scenario(site, tmp_path, "unknown")
    stored = await site.contents("unknown")
    assert list(stored.values()) == 2 * [(site.files / DOCUMENTS[0]).read_bytes()]
    uploaded = report["uploaded"]
    assert isinstance(uploaded, list) and uploaded[0]["key"] in stored


async def test_the_sample_works_unchanged_with_the_demo(site: Site) -> None:
    async with demo() as running:
        parameters = {"scenario": "first", "project": str(SAMPLE), "files": str(site.files), "images": IMAGES}
        parameters |= {"endpoint": DEMO_ENDPOINT, "signer": running.page.rstrip("/"), "oss": running.oss}
        async with node("tour_run.cjs", parameters) as script:
            report = await next_report(script)
        contents = []
        for each in report["uploaded"]:
            async with site.cloud.session.get(each["url"]) as response:
                contents.append(await response.read())
    assert sorted(contents) == sorted((site.files / name).read_bytes() for name in IMAGES)


async def test_the_samples_copy_of_the_library_is_current() -> None:
    copied, built = SAMPLE / "miniprogram_npm/@oss-signer/upload", ROOT / "miniprogram/upload/miniprogram_dist"
    for path in built.iterdir():
        assert (copied / path.name).read_bytes() == path.read_bytes(), "run npm run build in miniprogram/upload"


async def test_the_sample_fits_wechats_typings() -> None:
    await install_packages(HERE)
    result = await run(HERE / "node_modules/.bin/tsc", "--project", HERE / "tsconfig.json")
    assert result.status == 0, result.out
