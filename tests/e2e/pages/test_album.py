"""Two hundred files through the upload page, over a network that fails."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.e2e.pages.pictures import landscape, png
from tests.e2e.pages.upload_page import expect_state, local_oss, open_picture_app, row, set_faults
from tests.harness.browser import TIMEOUT_MS
from tests.harness.processes import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCES = ROOT / "miniprogram" / "upload" / "src"
SCREENSHOT = ROOT / "docs" / "h5-upload.png"
FILES = 200
FILE_BYTES = 512 * 1024
"""100 MiB in all."""
LEAST_COVERAGE = 0.95


def album(directory: Path) -> dict[str, Path]:
    """Write two hundred different pictures, and return them by name."""
    skies = [
        png(64, 48, landscape((90 + 12 * n, 140, 220 - 10 * n), (250, 220, 190), (30 + 5 * n, 70, 60), (n / 10, 0.3)))
        for n in range(10)
    ]
    files = {}
    for number in range(FILES):
        path = directory / f"west-lake-{number:03}.png"
        picture = skies[number % len(skies)]
        # A browser ignores what follows the end of a PNG.
        path.write_bytes(picture + os.urandom(FILE_BYTES - len(picture)))
        files[path.name] = path
    return files


WATCH = """() => {
  window.wentBack = [];
  const last = new Map();
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      const [before, now] = [last.get(target) ?? 0, target.value];
      // Only a retry, which starts at 0, and the next album may reduce the progress.
      const again = target.closest("#files") ? now === 0 : before === 100;
      if (now < before && !again) window.wentBack.push([target.ariaLabel, before, now]);
      last.set(target, now);
    }
  }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["value"] });
}"""


@pytest.mark.slow
async def test_two_hundred_files_arrive_exactly_once(page: Page, demo: str, tmp_path: Path) -> None:
    app = await open_picture_app(page, demo)
    files = album(tmp_path)
    oss = await local_oss(page)
    await page.evaluate(WATCH)
    # Some connections break, some responses are lost, and OSS throttles some requests.
    await set_faults(
        oss,
        {
            "oss": [
                {"kind": "reset", "probability": 0.02},
                {"kind": "truncated", "probability": 0.02},
                {"kind": "throttling", "probability": 0.03},
            ]
        },
    )
    await page.set_input_files("#file", list(files.values()))
    await expect(page.locator("#files > li")).to_have_count(FILES)
    done = page.locator("#files [data-state=done]")
    await page.wait_for_function(
        "() => document.querySelectorAll('#files [data-state=done]').length >= 60", timeout=TIMEOUT_MS
    )

    await page.get_by_role("button", name="Cancel all").click()
    await expect(page.locator("#files :is([data-state=waiting], [data-state=uploading])")).to_have_count(0)
    cancelled = await page.locator("#files [data-state=cancelled]").count()
    assert cancelled + await done.count() == FILES
    assert cancelled > 50
    await page.get_by_role("button", name="Retry all").click()

    last = row(page, f"west-lake-{FILES - 1:03}.png")
    await last.get_by_role("button", name=re.compile("^Cancel ")).press("Enter")
    await expect_state(last, "cancelled")
    if os.environ.get("UPDATE_SCREENSHOTS") == "1":
        await take_screenshot(page)
    await last.get_by_role("button", name=re.compile("^Retry ")).press("Enter")
    await page.wait_for_function(
        "() => document.querySelectorAll('#files :is([data-state=waiting], [data-state=uploading])').length === 0",
        timeout=TIMEOUT_MS,
    )
    await set_faults(oss, {})
    if await page.locator("#files [data-state=failed]").count():
        await page.get_by_role("button", name="Retry all").click()
    await expect(done).to_have_count(FILES, timeout=TIMEOUT_MS)
    assert await page.locator("#total-bar").evaluate("bar => bar.value") == 100
    assert await page.evaluate("window.wentBack") == []

    await page.get_by_role("button", name="Show more").click()
    await expect(page.locator("#arrived > li")).to_have_count(60)
    await expect(page.locator("#arrived-count")).to_have_text(re.compile(rf"^{FILES} files"))
    await expect(page.locator("#arrived img").first).to_be_visible()
    assert await contents(demo, app["id"]) == {name: [digest(path.read_bytes())] for name, path in files.items()}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def contents(demo: str, app: str) -> dict[str, list[str]]:
    """Return the digests of the objects in the bucket by file name."""
    found: dict[str, list[str]] = {}
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{demo.rstrip('/')}/demo/objects", params={"app": app}) as response:
            objects = await response.json()
        for each in objects:
            async with session.get(each["url"]) as response:
                name = each["key"].rpartition("/")[2].partition("-")[2]
                found.setdefault(name, []).append(digest(await response.read()))
    return found


async def take_screenshot(page: Page) -> None:
    """Write the picture of docs/ with slow uploads, so that the progress is visible."""
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1}
    session = await page.context.new_cdp_session(page)
    await session.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": 150_000})
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    await page.set_viewport_size({"width": 1200, "height": 1180})
    await page.wait_for_function(
        "() => document.querySelectorAll('#arrived > li img').length === 12"
        " && [...document.querySelectorAll('#files [data-state=uploading] progress')].some((bar) => bar.value > 40)",
        timeout=TIMEOUT_MS,
    )
    first = page.locator("#files [data-state=uploading]").first
    await first.evaluate("row => row.parentElement.scrollTop = row.offsetTop - row.parentElement.offsetTop - 90")
    await page.evaluate("window.scrollTo(0, 0)")
    await page.mouse.move(0, 0)
    await page.screenshot(path=SCREENSHOT, animations="disabled")
    await session.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": -1})
