"""The upload page with sixty files: everything can be reached, and nothing is wider than the window."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.pages.pictures import picture
from tests.e2e.pages.upload_page import expect_state, file_larger_than, open_picture_app, row
from tests.harness.waiting import wait_until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

FILES = 60
WIDTHS_BEYOND = """() => [document.documentElement, ...document.querySelectorAll("main, .card, #files, #files > li, .bar")]
  .filter((element) => element.scrollWidth > element.clientWidth + 1 || element.getBoundingClientRect().right > innerWidth)
  .map((element) => element.id || element.className || element.tagName)"""
IS_IN_WINDOW = """element => {
  const { top, bottom } = element.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
}"""


@pytest.mark.parametrize("width", [375, 1280])
async def test_sixty_files_fit_and_the_last_form_is_reached_by_scrolling(
    page: Page, demo: str, tmp_path: Path, width: int
) -> None:
    await page.set_viewport_size({"width": width, "height": 667})
    app = await open_picture_app(page, demo)
    large = file_larger_than(app["max_size_bytes"], tmp_path / f"{'a-long-name-' * 10}.png")
    await page.set_input_files("#file", large)
    await expect_state(row(page, large.name), "failed")
    await page.set_input_files("#file", [picture(f"IMG_20261126_{number:04}.png", number) for number in range(FILES)])
    await expect(page.locator("#files [data-state=done]")).to_have_count(FILES)
    await expect(page.locator("#arrived img")).to_have_count(12)
    assert await page.evaluate(WIDTHS_BEYOND) == []

    # The wheel turns in the middle of the window, and so above the list of files and the objects on the way.
    form = page.locator("#signed summary")
    await page.mouse.move(width / 4, 330)
    assert not await form.evaluate(IS_IN_WINDOW)

    async def scroll() -> bool:
        await page.mouse.wheel(0, 400)
        return bool(await form.evaluate(IS_IN_WINDOW))

    await wait_until(scroll)
    await form.click()
    last = page.locator("#fields > div").last
    await last.scroll_into_view_if_needed()
    assert await last.evaluate(IS_IN_WINDOW)
    assert await page.evaluate(WIDTHS_BEYOND) == []


async def test_more_objects_are_shown_on_request(page: Page, demo: str) -> None:
    await open_picture_app(page, demo)
    await page.set_input_files("#file", [picture(f"more-{number}.png", number) for number in range(13)])
    await expect(page.locator("#files [data-state=done]")).to_have_count(13)
    await expect(page.locator("#arrived > li")).to_have_count(12)
    await page.get_by_role("button", name="Show more").press("Enter")
    await expect(page.locator("#arrived > li:nth-child(13)")).to_be_visible()
    await expect(page.locator("#arrived > li:nth-child(13) a")).to_be_focused()
