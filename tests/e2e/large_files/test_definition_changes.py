"""An operator edits the definitions during an upload in parts: it completes, or the client learns why not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.large_files.mini_program import last_report, phone_parameters
from tests.e2e.large_files.site import BUCKET, MEGABYTE, Site, site, write_video
from tests.e2e.large_files.web_page import WebSite, page_server
from tests.harness.browser import chromium
from tests.harness.npm import install_packages
from tests.harness.signer import signer
from tests.miniprogram_sample.simulated import HERE, next_report, node

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

APP = "clips"
SIZE_BYTES = 3 * MEGABYTE
THRESHOLD = {"multipartThreshold": MEGABYTE}
MULTIPART = "multipart: {threshold: 1MiB, part_size: 100KiB}"
ARCHIVE = "archive"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WebSite]:
    await install_packages(HERE)
    directory = tmp_path_factory.mktemp("site")
    async with (
        page_server() as origin,
        site(directory, origin, reset_after_bytes=2 * MEGABYTE, stall_every=0) as running,
        chromium() as browser,
    ):
        await running.cloud.create_bucket(ARCHIVE)
        yield WebSite(running, browser, origin, directory / "none")


@pytest_asyncio.fixture(loop_scope="module")
async def web(shared: WebSite, tmp_path: Path) -> AsyncIterator[WebSite]:
    """The site with a signer for one test, whose definitions it edits."""
    config, file = tmp_path / "signer.yaml", tmp_path / f"{tmp_path.name}.mp4"
    config.write_text(shared.site.config.read_text(encoding="utf-8"), encoding="utf-8")
    async with signer(shared.site.cloud.session, config) as running:
        yield replace(shared, site=replace(shared.site, signer=running, config=config), file=file)


async def edit_during_upload(web: WebSite, old: str, new: str) -> dict[str, Any]:
    """Replace a text in the definitions while a page uploads the file; return the result or the error."""
    context = await web.browser.new_context()
    page = await web.open_page(context)
    await web.start(page, APP, parts=5, **THRESHOLD)
    await page.evaluate("pause.pause()")
    await web.site.redefine(old, new)
    await page.evaluate("pause.resume()")
    result: dict[str, Any] = await page.evaluate("window.running")
    assert await page.evaluate("localStorage.length") == 0
    await context.close()
    return result


async def starts(site: Site) -> int:
    """Return how many multipart uploads were started at OSS so far."""
    return (await site.cloud.counts()).get("oss.InitiateMultipartUpload", 0)


async def test_other_rules_do_not_disturb_an_upload(web: WebSite) -> None:
    digest, before = write_video(web.file, SIZE_BYTES), await starts(web.site)
    result = await edit_during_upload(web, MULTIPART, f"name: Clips, expires: 10m, {MULTIPART}")
    assert await web.site.stored(web.file.name) == {result["key"]: digest}
    assert await starts(web.site) == before + 1


async def test_an_upload_starts_again_in_the_new_bucket(web: WebSite) -> None:
    digest, before = write_video(web.file, SIZE_BYTES), await starts(web.site)
    bucket = f'{MULTIPART}, bucket: {ARCHIVE}, domain: "{web.site.network.url}/{ARCHIVE}"'
    result = await edit_during_upload(web, MULTIPART, bucket)
    assert await web.site.stored(web.file.name, ARCHIVE) == {result["key"]: digest}
    assert await web.site.stored(web.file.name, BUCKET) == {}
    assert await starts(web.site) == before + 2


async def test_a_form_is_sent_when_the_app_has_no_multipart_uploads_any_more(web: WebSite) -> None:
    digest = write_video(web.file, MEGABYTE + 500_000)
    result = await edit_during_upload(web, f", {MULTIPART}", "")
    assert await web.site.stored(web.file.name) == {result["key"]: digest}
    assert "-" not in result["etag"], "a form was stored"


async def test_a_file_that_is_too_large_now_is_refused(web: WebSite) -> None:
    write_video(web.file, SIZE_BYTES)
    result = await edit_during_upload(web, MULTIPART, f"max_size: 1MiB, {MULTIPART[:-1]}, max_size: 2MiB}}")
    assert result["code"] == "too_large"
    assert "this app allows at most 2097152 in a multipart upload" in result["detail"]
    assert await web.site.stored(web.file.name) == {}


async def test_a_mini_program_starts_again_in_the_new_bucket(web: WebSite, tmp_path: Path) -> None:
    digest = write_video(web.file, SIZE_BYTES)
    parameters = phone_parameters(web.site, tmp_path, web.file.name, APP, **THRESHOLD)
    async with node("video_run.cjs", parameters) as script:
        for _ in range(5):
            assert await next_report(script) == "part"
        bucket = f'{MULTIPART}, bucket: {ARCHIVE}, domain: "{web.site.network.url}/{ARCHIVE}"'
        await web.site.redefine(MULTIPART, bucket)
        report = await last_report(script)
    assert report["failed"] == []
    assert await web.site.stored(web.file.name, ARCHIVE) == {report["uploaded"][0]["key"]: digest}
    assert await web.site.stored(web.file.name, BUCKET) == {}
