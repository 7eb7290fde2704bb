"""The demo and its upload page in a real browser: what the tests of the page share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from tests.e2e.running import ROOT, START_SECONDS

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.asynccontextmanager
async def running_demo(*arguments: str) -> AsyncIterator[str]:
    """`python run.py demo`; the address of its page."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "run.py", "demo", "--port", "0", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("The upload page:"), line
        yield line.split()[-1]
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's; without it a skip on a laptop and a failure in CI."""
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


async def apps(url: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{url.rstrip('/')}/demo/apps") as answer:
        found: list[dict[str, Any]] = await answer.json()
        return found


async def open_picture_app(page: Page, url: str) -> dict[str, Any]:
    """The page at an enabled app that takes PNG pictures."""
    takes_png = {"image/png", "image/*"}
    app = next(
        app
        for app in await apps(url)
        if app["enabled"] and (not app["content_types"] or takes_png & set(app["content_types"]))
    )
    await page.goto(url)
    await page.select_option("#app", app["id"])
    await expect(page.locator("#rule-target")).to_have_text(f"oss://{app['bucket']}/{app['key_prefix']}")
    return app


def row(page: Page, name: str) -> Locator:
    return page.locator("#files > li").filter(has=page.get_by_text(name, exact=True))


async def expect_state(one: Locator, state: str) -> None:
    await expect(one).to_have_attribute("data-state", state, timeout=15_000)
