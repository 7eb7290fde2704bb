"""Writes the pictures of docs/ when UPDATE_SCREENSHOTS is 1."""

from __future__ import annotations

import asyncio
import os
import random
import re
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.pages.pictures import Pixel, landscape, png
from tests.e2e.pages.status_definitions import app_id, definitions
from tests.e2e.pages.test_upload_page_parts import HeldParts, cells
from tests.e2e.pages.upload_page import apps, expect_state, open_picture_app, row
from tests.harness.browser import new_page
from tests.harness.demo import demo
from tests.harness.fast_clock import fast_clock
from tests.harness.files import write
from tests.harness.local_cloud import local_cloud
from tests.harness.processes import ROOT
from tests.harness.signer import Signer, signer

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(os.environ.get("UPDATE_SCREENSHOTS") != "1", reason="UPDATE_SCREENSHOTS=1 writes the pictures"),
]


@pytest.mark.parametrize(("locale", "name"), [("en-US", "upload-page.png"), ("zh-CN", "upload-page.zh-CN.png")])
async def test_upload_page(browser: Browser, tmp_path: Path, locale: str, name: str) -> None:
    async with demo() as running, new_page(browser, 1200, 900, locale) as page:
        await _upload_pictures(page, running.page, tmp_path)
        await page.screenshot(path=ROOT / "docs" / name, full_page=True, animations="disabled")


async def _upload_pictures(page: Page, url: str, tmp_path: Path) -> None:
    skies: dict[str, tuple[Pixel, Pixel, Pixel, tuple[float, float]]] = {
        "harbour-dawn.png": ((96, 120, 178), (250, 200, 170), (38, 52, 84), (0.70, 0.34)),
        "tea-terraces.png": ((150, 205, 225), (236, 246, 226), (28, 92, 66), (0.24, 0.22)),
        "west-lake.png": ((70, 130, 180), (205, 228, 238), (24, 66, 92), (0.55, 0.20)),
        "red-cliffs.png": ((240, 150, 96), (253, 222, 160), (122, 42, 38), (0.40, 0.42)),
        "night-train.png": ((16, 22, 56), (88, 78, 140), (10, 14, 34), (0.80, 0.20)),
    }
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    app = await open_picture_app(page, url)
    for name, (top, bottom, ground, sun) in skies.items():
        data = png(480, 360, landscape(top, bottom, ground, sun))
        await page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": data})
        await expect_state(row(page, name), "done")
    await expect(page.locator("#arrived img")).to_have_count(len(skies))
    await page.click("#clear")

    panorama = png(480, 160, landscape((216, 160, 140), (250, 232, 200), (70, 52, 60), (0.5, 0.3)))
    large = tmp_path / "panorama.png"
    large.write_bytes(panorama.ljust(app["max_size_bytes"] * 9 // 4, b"\0"))
    data = png(480, 360, landscape((120, 170, 160), (240, 236, 214), (52, 74, 58), (0.3, 0.3)))
    await page.set_input_files("#file", {"name": "bamboo-road.png", "mimeType": "image/png", "buffer": data})
    await expect_state(row(page, "bamboo-road.png"), "done")
    await page.set_input_files("#file", large)
    await expect_state(row(page, "panorama.png"), "failed")
    await page.click("#signed summary")
    await expect(page.locator("#arrived img")).to_have_count(len(skies) + 1)
    await page.mouse.move(0, 0)
    await page.evaluate("document.activeElement.blur()")


@pytest.mark.parametrize(("locale", "name"), [("en-US", "large-file.png"), ("zh-CN", "large-file.zh-CN.png")])
async def test_large_file(browser: Browser, tmp_path: Path, locale: str, name: str) -> None:
    """Show a video whose parts are stored, on the way, or still to be sent."""
    parts = 32
    video = tmp_path / "west-lake.mp4"
    video.write_bytes(os.urandom(parts * 2**20 - 1000))
    network = HeldParts(passing=13)
    async with demo() as running, new_page(browser, 640, 900, locale) as page:
        await page.emulate_media(color_scheme="light", reduced_motion="reduce")
        app = next(each for each in await apps(running.page) if each["multipart"])
        await page.goto(f"{running.page}?app={app['id']}")
        await expect(page.locator("#rule-size")).to_contain_text("GiB")
        await page.route(re.compile("partNumber="), network.handle)
        await page.set_input_files("#file", video)
        item = row(page, video.name)
        await expect(cells(item, "stored")).to_have_count(13)
        await expect(cells(item, "sending")).not_to_have_count(0)
        await page.mouse.move(0, 0)
        await item.screenshot(path=ROOT / "docs" / name, animations="disabled")
        network.release()


async def test_status_page(browser: Browser, tmp_path: Path) -> None:
    """Show half an hour of traffic, by a clock that runs twelve times as fast as the machine's."""
    speed, length_seconds = 12, float(os.environ.get("SCREENSHOT_SECONDS", "2100"))
    async with (
        aiohttp.ClientSession() as session,
        fast_clock(speed) as clock,
        local_cloud(session, environ=clock.environ) as cloud,
    ):
        text = definitions(cloud, first_name="Photo wall A")
        write(config := tmp_path / "signer.yaml", text)
        async with signer(session, config, environ=clock.environ) as running:
            await asyncio.gather(*(_send_traffic(running, number, length_seconds / speed) for number in range(8)))
            edited = text.replace(f"  {app_id(12)}:", f"  {app_id(50)}:").replace("per_app: 6/m", "per_app: 60/m")
            write(config, edited.replace("duration: 45m", "duration: 50m"))
            assert (await running.reload())[0] == 200
            page = await browser.new_page(viewport={"width": 1280, "height": 900})
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                await page.goto(f"{running.admin}/status")
                path = ROOT / "docs" / f"status-{scheme}.png"
                await page.screenshot(path=path, full_page=True, animations="disabled")
            await page.close()


async def _send_traffic(running: Signer, worker: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    chance = random.Random(worker)
    while (left := end - loop.time()) > 0:
        # Some apps get far more requests than others, and there is more traffic in the middle.
        await running.upload_status(app_id(int(50 * chance.random() ** 2.5)))
        await asyncio.sleep(0.1 + 0.4 * abs(left / seconds - 0.45) + 0.1 * chance.random())
