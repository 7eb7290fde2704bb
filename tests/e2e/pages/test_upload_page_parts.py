"""A large file on the upload page: its parts as they arrive, pause and resume."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.e2e.pages.upload_page import apps, expect_state, row

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

PARTS = 9


class HeldParts:
    """Parts of uploads that the network holds back after the first ones."""

    def __init__(self, passing: int) -> None:
        self._passing = passing
        self._released = asyncio.Event()
        self.held = 0

    async def handle(self, route: Route) -> None:
        if route.request.method == "PUT":
            self._passing -= 1
            if self._passing < 0:
                self.held += 1
                await self._released.wait()
        await route.continue_()

    def release(self) -> None:
        self._released.set()


async def open_video_app(page: Page, demo: str) -> None:
    app = next(each for each in await apps(demo) if each["multipart"])
    await page.goto(f"{demo}?app={app['id']}")
    await expect(page.locator("#rule-size")).to_have_text("2 GiB in parts, 5 MiB as a form")


def cells(item: Locator, state: str) -> Locator:
    return item.locator(f".parts [data-part={state}]")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "trip.mp4"
    path.write_bytes(os.urandom(PARTS * 2**20 - 1000))
    return path


async def test_parts_arrive_pause_and_resume(page: Page, demo: str, video: Path) -> None:
    await open_video_app(page, demo)
    network = HeldParts(passing=3)
    await page.route(re.compile("partNumber="), network.handle)
    await page.set_input_files("#file", video)
    item = row(page, video.name)
    await expect(cells(item, "stored")).to_have_count(3)
    await expect(item.locator(".parts span")).to_have_count(PARTS)
    await expect(item.locator(".state")).to_have_text(re.compile(r"^Uploading in parts, \d+ %: 3 of 9 stored$"))

    await item.get_by_role("button", name="Pause trip.mp4").click()
    await expect_state(item, "paused")
    await expect(item.locator(".state")).to_have_text("Paused: 3 of 9 parts stored")
    await expect(cells(item, "sending")).to_have_count(0)
    network.release()
    await item.get_by_role("button", name="Resume trip.mp4").click()
    await expect_state(item, "done")
    await expect(item.locator(".parts")).to_be_hidden()
    assert await content_of(page, item) == video.read_bytes()


async def test_a_page_that_is_loaded_again_continues_with_the_same_file(page: Page, demo: str, video: Path) -> None:
    await open_video_app(page, demo)
    network = HeldParts(passing=4)
    await page.route(re.compile("partNumber="), network.handle)
    await page.set_input_files("#file", video)
    await expect(cells(row(page, video.name), "stored")).to_have_count(4)
    await page.goto("about:blank")  # before the network works again, or the first page sends the rest
    await page.unroute_all(behavior="ignoreErrors")
    await open_video_app(page, demo)
    await page.wait_for_function("async () => (await navigator.locks.query()).held.length === 0")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    await page.set_input_files("#file", video)
    item = row(page, video.name)
    await expect_state(item, "done")
    assert len(sent) == PARTS - 4
    assert await content_of(page, item) == video.read_bytes()


async def test_a_short_clip_is_sent_as_a_form(page: Page, demo: str) -> None:
    await open_video_app(page, demo)
    await page.set_input_files("#file", {"name": "short.mp4", "mimeType": "video/mp4", "buffer": b"clip"})
    item = row(page, "short.mp4")
    await expect_state(item, "done")
    await expect(item.locator(".parts span")).to_have_count(0)
    assert await content_of(page, item) == b"clip"


async def content_of(page: Page, item: Locator) -> bytes:
    """Return the stored content of an uploaded file."""
    key = await item.get_attribute("data-key")
    address = await page.locator(f'#arrived [data-key="{key}"] a').get_attribute("href")
    assert address is not None
    async with aiohttp.ClientSession() as session, session.get(address) as response:
        return await response.read()
