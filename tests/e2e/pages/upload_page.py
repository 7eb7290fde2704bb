"""Opens the demo's upload page and finds its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from playwright.async_api import Locator, Page, expect


async def apps(url: str) -> list[dict[str, Any]]:
    """Return the apps of the demo."""
    async with aiohttp.ClientSession() as session, session.get(f"{url.rstrip('/')}/demo/apps") as response:
        found: list[dict[str, Any]] = await response.json()
        return found


async def open_picture_app(page: Page, url: str) -> dict[str, Any]:
    """Open the page at an enabled app that accepts PNG pictures, and return the app."""
    png_types = {"image/png", "image/*"}
    app = next(
        app
        for app in await apps(url)
        if app["enabled"] and (not app["content_types"] or png_types & set(app["content_types"]))
    )
    await page.goto(url)
    await page.select_option("#app", app["id"])
    await expect(page.locator("#rule-target")).to_have_text(f"oss://{app['bucket']}/{app['key_prefix']}")
    return app


def row(page: Page, name: str) -> Locator:
    """Return the row of a file."""
    return page.locator("#files > li").filter(has=page.get_by_text(name, exact=True))


async def expect_state(file_row: Locator, state: str) -> None:
    """Wait until a file has this state."""
    await expect(file_row).to_have_attribute("data-state", state)


async def local_oss(page: Page) -> str:
    """Return the address of the local cloud's OSS, to which the page's forms lead."""
    async with aiohttp.ClientSession() as session:
        app = await page.locator("#app").input_value()
        async with session.post(
            f"{urlsplit(page.url)._replace(path='', query='').geturl()}/v1/apps/{app}/uploads"
        ) as response:
            url = urlsplit((await response.json())["url"])
    return f"{url.scheme}://{url.netloc}"


async def set_faults(oss: str, faults: dict[str, Any]) -> None:
    """Replace the faults of the local cloud."""
    async with aiohttp.ClientSession() as session, session.put(f"{oss}/-/faults?seed=7", json=faults) as response:
        assert response.status == 200, await response.text()


def file_larger_than(size_bytes: int, path: Path) -> Path:
    """Write a file of one byte more, and return its path."""
    with path.open("wb") as file:
        file.truncate(size_bytes + 1)
    return path
