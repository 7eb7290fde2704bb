"""Runs Debian's Chromium."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.harness.programs import require_program
from tests.harness.waiting import DEADLINE_SECONDS

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = DEADLINE_SECONDS * 1000


@contextlib.asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """Run a browser without a window; expectations of pages have the deadline of the tests."""
    expect.set_options(timeout=TIMEOUT_MS)
    program = require_program("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=[*_FLAGS, *flags], timeout=TIMEOUT_MS)
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def new_page(browser: Browser, width: int, height: int, locale: str = "en-US") -> AsyncIterator[Page]:
    """Open a page whose waits have the deadline of the tests; `locale` becomes the browser's Accept-Language."""
    page = await browser.new_page(viewport={"width": width, "height": height}, locale=locale)
    page.set_default_timeout(TIMEOUT_MS)
    try:
        yield page
    finally:
        await page.close()
