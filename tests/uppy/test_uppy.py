"""Uppy 6 and 5 in Chromium, with the glue that docs/http.md shows: large files in parts, small ones as forms."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import aiohttp
import pytest
from playwright.async_api import Page
from yarl import URL

from tests.callers.stub import body, stub
from tests.harness.browser import chromium, new_page
from tests.harness.local_cloud import local_cloud
from tests.harness.npm import install_packages
from tests.harness.processes import ROOT, run
from tests.harness.waiting import wait_until
from tests.multipart.video_signer import API_KEY, VideoSigner, definitions, video_signer
from tests.uploaders.pages import cors_rule

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
LARGE = Random(6).randbytes(11 * 2**20)
SMALL = b"a small video"


def glue(version: int) -> str:
    """Return the glue for a version of Uppy as the documentation shows it."""
    blocks: list[str] = re.findall(r"^```js\n(.*?)^```$", (ROOT / "docs/http.md").read_text("utf-8"), re.M | re.S)
    marks = {5: "createMultipartUpload", 6: "signRequest"}
    [text] = [block for block in blocks if "uppy.use(AwsS3" in block and marks[version] in block]
    assert text.count("\n") <= 15
    return text


@pytest.fixture
async def videos() -> AsyncIterator[VideoSigner]:
    async with aiohttp.ClientSession() as session, local_cloud(session, "--bucket", "videos=cn-hangzhou") as cloud:
        async with session.put(f"{cloud.oss}/-/buckets/videos/cors", json=cors_rule(2)) as response:
            assert response.status == 200
        text = definitions(cloud, multipart="{}", max_size="1MiB", cors_origins='["*"]')
        async with video_signer(cloud, text) as videos:
            yield videos


@contextlib.asynccontextmanager
async def page_with_uppy(version: int, directory: Path) -> AsyncIterator[Page]:
    """Run a page with a version of Uppy and the glue for it."""
    packages = HERE / f"uppy{version}"
    await install_packages(packages)
    script = (HERE / "page.js").read_text("utf-8").replace("// GLUE", glue(version))
    source, bundle = packages / "node_modules" / f"{directory.name}.js", directory / "bundle.js"
    source.write_text(script, "utf-8")
    try:
        built = await run(
            packages / "node_modules/.bin/esbuild", source, "--bundle", "--format=iife", f"--outfile={bundle}"
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


async def prepare(page: Page, videos: VideoSigner, content: bytes, *, multipart: bool) -> None:
    """Add a file to Uppy."""
    options = {
        "app": str(videos.client.make_url("/v1/apps/video")),
        "headers": {"X-Api-Key": API_KEY, "X-Caller": "ann"},
        "name": "旅行.mp4",
        "type": "video/mp4",
        "content": base64.b64encode(content).decode(),
        "multipart": multipart,
    }
    await page.evaluate("options => window.prepare(options)", options)


@pytest.mark.parametrize("version", [5, 6])
@pytest.mark.parametrize(("content", "multipart"), [(LARGE, True), (SMALL, False)], ids=["large", "small"])
async def test_uppy_uploads_through_signer_and_oss(
    videos: VideoSigner, tmp_path: Path, version: int, content: bytes, multipart: bool
) -> None:
    async with page_with_uppy(version, tmp_path) as page:
        await prepare(page, videos, content, multipart=multipart)
        result = await page.evaluate("() => window.upload()")
    assert result["errors"] == []
    [stored] = await videos.cloud.objects("videos")
    assert await videos.cloud.content("videos", str(stored["key"])) == content
    assert stored["content_type"] == "video/mp4"
    counts = await videos.cloud.counts()
    assert counts.get("oss.UploadPart", 0) == (3 if multipart else 0)
    assert counts.get("oss.CompleteMultipartUpload", 0) == int(multipart)


async def test_uppy_5_resumes_with_the_parts_that_oss_has(videos: VideoSigner, tmp_path: Path) -> None:
    async with page_with_uppy(5, tmp_path) as page:
        sent: list[str | None] = []
        page.on("request", lambda request: sent.append(URL(request.url).query.get("partNumber")))
        await prepare(page, videos, LARGE, multipart=True)
        await page.evaluate("() => { window.paused = window.pauseAfterAPart(); window.result = window.upload() }")
        arrived = await page.evaluate("() => window.paused")
        await page.evaluate("() => window.resume()")
        result = await page.evaluate("() => window.result")
    assert result["errors"] == []
    assert sent.count(str(arrived)) == 1
    [stored] = await videos.cloud.objects("videos")
    assert await videos.cloud.content("videos", str(stored["key"])) == LARGE
    counts = await videos.cloud.counts()
    # The first list is Uppy's; the signer lists again before the completion.
    assert (counts["oss.InitiateMultipartUpload"], counts["oss.ListParts"]) == (1, 2)


async def test_uppy_5_aborts_a_cancelled_upload(videos: VideoSigner, tmp_path: Path) -> None:
    async with page_with_uppy(5, tmp_path) as page:
        await prepare(page, videos, LARGE, multipart=True)
        await page.evaluate("() => { window.paused = window.pauseAfterAPart(); void window.upload() }")
        await page.evaluate("() => window.paused")
        await page.evaluate("() => window.uppy.cancelAll()")
        await wait_until(lambda: aborted(videos))
    assert await videos.cloud.objects("videos") == []


async def aborted(videos: VideoSigner) -> bool:
    return (await videos.cloud.counts()).get("oss.AbortMultipartUpload", 0) == 1
