"""The upload page in the language that the browser requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from signer.demo.page_html import page_texts
from tests.e2e.pages.pictures import picture
from tests.e2e.pages.upload_page import expect_state, file_larger_than, open_picture_app, row
from tests.harness.browser import new_page

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

ALL_TEXTS = """() => {
  const texts = [document.title];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) texts.push(walk.currentNode.data.trim());
  for (const element of document.querySelectorAll("[aria-label]")) texts.push(element.ariaLabel);
  return texts.filter(Boolean);
}"""


@pytest_asyncio.fixture(loop_scope="module")
async def chinese_page(browser: Browser) -> AsyncIterator[Page]:
    async with new_page(browser, 1200, 900, locale="zh-CN") as page:
        yield page


async def test_a_chinese_browser_gets_the_whole_page_in_chinese(chinese_page: Page, demo: str, tmp_path: Path) -> None:
    page = chinese_page
    app = await open_picture_app(page, demo)
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await page.set_input_files("#file", picture("done.png"))
    await expect_state(row(page, "done.png"), "done")
    await page.set_input_files("#file", file_larger_than(2 * app["max_size_bytes"], tmp_path / "large.png"))
    await expect_state(row(page, "large.png"), "failed")
    await expect(row(page, "large.png").locator(".message")).to_have_text(
        "文件太大：文件为 10 MiB，此应用最多接受 5 MiB。"
    )
    await expect(page.locator("#failed-count")).to_have_text("1 个失败")

    english = {texts["en"] for name, texts in page_texts().items() if name != "other_language"}
    assert [text for text in await page.evaluate(ALL_TEXTS) if text in english] == []


async def test_the_other_language_is_one_click_away(page: Page, demo: str) -> None:
    await page.goto(demo)
    await page.get_by_role("link", name="中文").click()
    await expect(page.locator("h2").first).to_have_text("上传")
    await expect(page.locator("#rules")).to_be_visible()
    await page.reload()
    await page.get_by_role("link", name="English").click()
    await expect(page.locator("h2").first).to_have_text("Upload")


@pytest.mark.parametrize(
    ("accept_language", "query", "language"),
    [("zh-TW,zh;q=0.9", "", "zh-CN"), ("fr", "", "en"), ("zh", "?lang=en", "en"), ("en", "?lang=zh-CN", "zh-CN")],
)
async def test_the_response_names_its_language(demo: str, accept_language: str, query: str, language: str) -> None:
    headers = {"Accept-Language": accept_language}
    async with aiohttp.ClientSession() as session, session.get(f"{demo}{query}", headers=headers) as response:
        assert response.headers["Content-Language"] == language
        assert response.headers["Vary"] == "Accept-Language"
        assert f'<html lang="{language}">' in await response.text()
