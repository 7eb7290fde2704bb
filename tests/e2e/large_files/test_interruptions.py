"""Whatever interrupts an upload in parts, it continues: in web pages and in mini-programs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.e2e.large_files.mini_program import last_report, phone_parameters
from tests.e2e.large_files.site import MAX_SENT_SHARE, MEGABYTE, Site, new_secret, site, write_video
from tests.e2e.large_files.web_page import SOURCES, WebSite, page_server
from tests.e2e.pages.test_browser_library import covered_share
from tests.harness.browser import chromium
from tests.harness.npm import install_packages
from tests.harness.processes import launch
from tests.harness.relay import relay
from tests.harness.signer import signer
from tests.harness.waiting import wait_until
from tests.miniprogram_sample.simulated import HERE, next_report, node

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

APP = "clips"
SIZE_BYTES = 6 * MEGABYTE
THRESHOLD = {"multipartThreshold": MEGABYTE}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WebSite]:
    await install_packages(HERE)
    directory = tmp_path_factory.mktemp("site")
    async with (
        page_server() as origin,
        site(directory, origin, reset_after_bytes=2 * MEGABYTE, stall_every=0) as running,
        chromium() as browser,
    ):
        yield WebSite(running, browser, origin, directory / "none")


@pytest.fixture
def clip(web: WebSite, tmp_path: Path) -> str:
    """A file that is chosen in each page; returns its digest."""
    web.file = tmp_path / f"{tmp_path.name}.mp4"
    return write_video(web.file, SIZE_BYTES)


async def is_stored_once(web: WebSite, result: dict[str, Any], digest: str) -> bool:
    return await web.site.stored(web.file.name) == {result["key"]: digest}


async def test_a_page_that_was_closed_continues(web: WebSite, clip: str) -> None:
    context = await web.browser.new_context()
    page = await web.open_page(context)
    before = web.site.network.received_bytes
    await web.start(page, APP, parts=20, **THRESHOLD)
    await page.close()
    page = await web.open_page(context)
    assert await is_stored_once(web, await web.upload(page, APP, **THRESHOLD), clip)
    assert web.site.network.received_bytes - before <= MAX_SENT_SHARE * SIZE_BYTES
    assert await page.evaluate("localStorage.length") == 0
    await context.close()


async def test_two_tabs_with_the_same_file_do_not_disturb_each_other(web: WebSite, clip: str) -> None:
    context = await web.browser.new_context()
    pages = [await web.open_page(context) for _ in range(2)]
    first, second = await asyncio.gather(*(web.upload(page, APP, **THRESHOLD) for page in pages))
    assert first["key"] != second["key"]
    assert await web.site.stored(web.file.name) == {first["key"]: clip, second["key"]: clip}
    await context.close()


async def test_a_page_pauses_while_the_token_is_revoked(web: WebSite, clip: str) -> None:
    context = await web.browser.new_context()
    page = await web.open_page(context)
    await web.start(page, APP, parts=5, **THRESHOLD)
    await page.evaluate("pause.pause()")
    await web.site.revoke_token()
    await page.evaluate("pause.resume()")
    assert await is_stored_once(web, await page.evaluate("window.running"), clip)
    assert await page.evaluate("window.lowered") == 0
    await context.close()


async def test_a_cancelled_upload_leaves_nothing(web: WebSite, clip: str) -> None:
    context = await web.browser.new_context()
    page = await web.open_page(context)
    await web.start(page, APP, parts=5, **THRESHOLD)
    await page.evaluate("pause.pause()")
    aborted = (await web.site.cloud.counts()).get("oss.AbortMultipartUpload", 0)
    await page.evaluate("cancel.abort()")
    assert (await page.evaluate("window.running"))["code"] == "cancelled"

    async def is_aborted() -> bool:
        return (await web.site.cloud.counts()).get("oss.AbortMultipartUpload", 0) == aborted + 1

    await wait_until(is_aborted)
    assert await page.evaluate("localStorage.length") == 0
    assert await web.site.stored(web.file.name) == {}
    await context.close()


async def test_without_storage_and_locks_it_uploads_all_the_same(web: WebSite, clip: str) -> None:
    context = await web.browser.new_context()
    await context.add_init_script("""
        Object.defineProperty(window, "localStorage", { get() { throw new Error("blocked"); } });
        Object.defineProperty(navigator, "locks", { value: undefined });
    """)
    page = await web.open_page(context)
    assert await is_stored_once(web, await web.upload(page, APP, **THRESHOLD), clip)
    await context.close()


async def test_every_line_for_web_pages_is_covered(web: WebSite, clip: str) -> None:
    context = await web.browser.new_context()
    page = await web.open_page(context)
    session = await start_coverage(page)
    assert await is_stored_once(web, await web.upload(page, APP, **THRESHOLD), clip)
    coverage = (await session.send("Profiler.takePreciseCoverage"))["result"]
    for name in ("h5-parts.mjs", "h5-multipart.mjs"):
        assert covered_share(coverage, f"/src/{name}", SOURCES / name) > 0.95
    await context.close()


async def start_coverage(page: Page) -> Any:
    session = await page.context.new_cdp_session(page)
    await session.send("Profiler.enable")
    await session.send("Profiler.startPreciseCoverage", {"callCount": True, "detailed": True})
    return session


async def test_a_mini_program_that_was_killed_continues(web: WebSite, clip: str, tmp_path: Path) -> None:
    parameters = phone_parameters(web.site, tmp_path, web.file.name, APP, **THRESHOLD)
    before = web.site.network.received_bytes
    async with launch("node", HERE / "video_run.cjs", json.dumps(parameters)) as script:
        for _ in range(30):
            assert await next_report(script) == "part"
        script.kill()
        await script.wait()
    async with node("video_run.cjs", parameters) as script:
        report = await last_report(script)
    assert await is_stored_once(web, report["uploaded"][0], clip)
    assert web.site.network.received_bytes - before <= MAX_SENT_SHARE * SIZE_BYTES


async def test_a_revoked_token_does_not_end_the_upload_of_a_mini_program(
    web: WebSite, clip: str, tmp_path: Path
) -> None:
    parameters = phone_parameters(web.site, tmp_path, web.file.name, APP, **THRESHOLD)
    async with node("video_run.cjs", parameters) as script:
        for _ in range(5):
            assert await next_report(script) == "part"
        await web.site.revoke_token()
        report = await last_report(script)
    assert await is_stored_once(web, report["uploaded"][0], clip)


async def test_a_signer_that_was_killed_and_its_successor_with_another_secret(
    web: WebSite, clip: str, tmp_path: Path
) -> None:
    config = tmp_path / "signer.yaml"
    text = web.site.config.read_text(encoding="utf-8")
    config.write_text(text.replace(web.site.secret, f"{new_secret()}, {web.site.secret}"), encoding="utf-8")
    session = web.site.cloud.session
    async with (
        signer(session, web.site.config) as first,
        relay(first.public) as signers,
    ):
        given = Site(web.site.cloud, first, web.site.network, web.site.config, web.site.secret)
        parameters = phone_parameters(given, tmp_path, web.file.name, APP, **THRESHOLD)
        async with node("video_run.cjs", parameters | {"signer": signers.url}) as script:
            for _ in range(5):
                assert await next_report(script) == "part"
            first.process.kill()
            await first.process.wait()
            async with signer(session, config) as second:
                signers.target = second.public
                report = await last_report(script)
    assert await is_stored_once(web, report["uploaded"][0], clip)
