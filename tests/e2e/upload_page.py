"""The demo and its upload page in a real browser: what the tests of the page share."""

from __future__ import annotations

from typing import Any

import aiohttp
from playwright.async_api import Locator, Page, expect


async def apps(url: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{url.rstrip('/')}/demo/apps") as response:
        found: list[dict[str, Any]] = await response.json()
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
