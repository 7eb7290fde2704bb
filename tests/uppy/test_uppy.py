"""Uppy 6 in Chromium, with the glue that docs/http.md shows: large files in parts, small ones as forms."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import aiohttp
import pytest
from playwright.async_api import Page

from tests.callers.stub import body, stub
from tests.harness.browser import chromium, new_page
from tests.harness.local_cloud import local_cloud
from tests.harness.npm import install_packages
from tests.harness.processes import ROOT, run
from tests.multipart.video_signer import API_KEY, VideoSigner, definitions, video_signer

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
LARGE = Random(6).randbytes(11 * 2**20)
SMALL = b"a small video"


def glue() -> str:
    """Return the glue as the documentation shows it."""
    found: list[str] = re.findall(
        r"^```js\n(uppy\.use\(AwsS3.*?)^```$", (ROOT / "docs/http.md").read_text("utf-8"), re.M | re.S
    )
    [text] = found
    assert text.count("\n") <= 15
    return text


@pytest.fixture
async def videos() -> AsyncIterator[VideoSigner]:
    async with aiohttp.ClientSession() as session, local_cloud(session, "--bucket", "videos=cn-hangzhou") as cloud:
        text = definitions(cloud, multipart="{}", max_size="1MiB", cors_origins='["*"]')
        async with video_signer(cloud, text) as videos:
            yield videos


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A page with Uppy and the glue."""
    await install_packages(HERE)
    script = (HERE / "page.js").read_text("utf-8").replace("// GLUE", glue())
    source, bundle = HERE / "node_modules" / f"{tmp_path.name}.js", tmp_path / "bundle.js"
    source.write_text(script, "utf-8")
    try:
        built = await run(
            HERE / "node_modules/.bin/esbuild", source, "--bundle", "--format=iife", f"--outfile={bundle}"
        )
    finally:
        source.unlink()
    assert built.status == 0, built.err
    async with (
        stub(body(b"<!doctype html><title>Uppy</title>", headers={"Content-Type": "text/html"})) as server,
        chromium() as browser,
        new_page(browser, 800, 600) as page,
    ):
        await page.goto(server.url)
        await page.add_script_tag(path=bundle)
        yield page


@pytest.mark.parametrize(("content", "multipart"), [(LARGE, True), (SMALL, False)], ids=["large", "small"])
async def test_uppy_uploads_through_signer_and_oss(
    videos: VideoSigner, page: Page, content: bytes, multipart: bool
) -> None:
    options = {
        "app": str(videos.client.make_url("/v1/apps/video")),
        "headers": {"X-Api-Key": API_KEY, "X-Caller": "ann"},
        "name": "旅行.mp4",
        "type": "video/mp4",
        "content": base64.b64encode(content).decode(),
        "multipart": multipart,
    }
    result = await page.evaluate("options => window.upload(options)", options)
    assert result["errors"] == []
    [stored] = await videos.cloud.objects("videos")
    assert await videos.cloud.content("videos", str(stored["key"])) == content
    assert stored["content_type"] == "video/mp4"
    counts = await videos.cloud.counts()
    assert counts.get("oss.UploadPart", 0) == (3 if multipart else 0)
    assert counts.get("oss.CompleteMultipartUpload", 0) == int(multipart)
