"""The rows of the upload page: failures, retries, removal, thumbnails and pasted pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.pages.pictures import noise, picture
from tests.e2e.pages.upload_page import (
    apps,
    expect_state,
    file_larger_than,
    local_oss,
    open_picture_app,
    row,
    set_faults,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

IS_IN_LIST = """row => {
  const [inner, outer] = [row, row.parentElement].map((element) => element.getBoundingClientRect());
  return inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
}"""
PASTE_PICTURE = """bytes => navigator.clipboard.write([
  new ClipboardItem({ "image/png": new Blob([new Uint8Array(bytes)], { type: "image/png" }) }),
])"""
CENTRE_OF_CANVAS = """canvas => {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d");
  context.drawImage(canvas, 0, 0);
  return [...context.getImageData(copy.width / 2, copy.height / 2, 1, 1).data];
}"""


async def names(page: Page) -> list[str]:
    """Return the names of the files from top to bottom."""
    return await page.locator("#files .name").all_inner_texts()


async def done(page: Page, count: int) -> None:
    """Wait until this number of files is uploaded."""
    await expect(page.locator("#files [data-state=done]")).to_have_count(count)


def button(item: Locator, action: str) -> Locator:
    return item.locator(f"[data-action={action}]")


async def test_failures_are_counted_and_stay_on_top_and_newer_files_follow(
    page: Page, demo: str, tmp_path: Path
) -> None:
    app = await open_picture_app(page, demo)
    await page.set_input_files("#file", [picture(f"early-{number}.png", number) for number in range(12)])
    for name in ("first.png", "second.png"):
        await page.set_input_files("#file", file_larger_than(app["max_size_bytes"], tmp_path / name))
        await expect_state(row(page, name), "failed")
    await page.set_input_files("#file", [picture(f"late-{number}.png", number) for number in range(12)])
    await done(page, 24)

    found = await names(page)
    assert found[:3] == ["second.png", "first.png", "late-0.png"]
    assert found[14] == "early-0.png"
    await expect(page.locator("#failed-count")).to_have_text("2 failed")
    for name in found[:2]:
        assert await row(page, name).evaluate(IS_IN_LIST)

    await page.locator("#files").evaluate("list => list.scrollTo({ top: list.scrollHeight })")
    assert not await row(page, "second.png").evaluate(IS_IN_LIST)
    await page.locator("#failed-count").click()
    assert await row(page, "second.png").evaluate(IS_IN_LIST)

    await page.get_by_role("button", name="Clear finished").click()
    assert await names(page) == ["second.png", "first.png"]
    await page.get_by_role("button", name="Remove failed").click()
    assert await names(page) == []
    await expect(page.locator("#failed-count")).to_be_hidden()


async def test_only_what_can_succeed_later_can_be_retried(page: Page, demo: str, tmp_path: Path) -> None:
    app = await open_picture_app(page, demo)
    oss = await local_oss(page)
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    await page.set_input_files("#file", file_larger_than(app["max_size_bytes"], tmp_path / "large.png"))
    await expect_state(row(page, "large.png"), "failed")
    await expect(page.get_by_role("button", name="Retry all")).to_be_hidden()

    await set_faults(oss, {"oss": {"kind": "reset"}})
    try:
        await page.set_input_files("#file", [picture("one.png"), picture("two.png", 2)])
        for name in ("one.png", "two.png"):
            await expect_state(row(page, name), "failed")
            await expect(button(row(page, name), "retry")).to_be_visible()
            await expect(row(page, name).locator(".message")).to_contain_text("The connection to 127.0.0.1")
    finally:
        await set_faults(oss, {})
    await expect(page.locator("#failed-count")).to_have_text("3 failed")
    await button(row(page, "one.png"), "retry").click()
    await expect_state(row(page, "one.png"), "done")
    assert (await names(page))[-1] == "one.png"
    posts.clear()
    await page.get_by_role("button", name="Retry all").click()
    await expect_state(row(page, "two.png"), "done")
    await expect(page.locator("#failed-count")).to_have_text("1 failed")
    await expect(button(row(page, "large.png"), "retry")).to_be_hidden()
    assert len([url for url in posts if url.endswith("/uploads")]) <= 1


async def test_a_file_of_another_type_is_refused_and_cannot_be_retried(page: Page, demo: str) -> None:
    app = next(each for each in await apps(demo) if each["enabled"] and each["content_types"])
    await open_picture_app(page, demo)
    await page.select_option("#app", app["id"])
    await page.set_input_files("#file", {"name": "dance.gif", "mimeType": "image/gif", "buffer": b"GIF89a"})
    item = row(page, "dance.gif")
    await expect_state(item, "failed")
    await expect(item.locator(".message")).to_have_text(
        f"This app does not accept image/gif. It accepts {', '.join(app['content_types'])}."
    )
    await expect(button(item, "retry")).to_be_hidden()
    await expect(button(item, "remove")).to_be_visible()


async def test_rows_are_removed_and_the_focus_moves_to_the_next_row(page: Page, demo: str) -> None:
    await open_picture_app(page, demo)
    await page.set_input_files("#file", [picture(f"row-{number}.png", number) for number in range(3)])
    await done(page, 3)
    await page.get_by_role("button", name="Remove row-1.png").press("Enter")
    assert await names(page) == ["row-0.png", "row-2.png"]
    await expect(page.get_by_role("button", name="Remove row-2.png")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Remove row-0.png")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#files-bar")).to_be_hidden()
    await expect(page.locator("#file")).to_be_focused()
    await expect(page.locator("#arrived .name").filter(has_text="row-1.png")).to_have_count(1)


async def test_a_picture_has_a_thumbnail_before_it_is_sent(page: Page, demo: str) -> None:
    await open_picture_app(page, demo)
    oss = await local_oss(page)
    pictures = [picture(f"held-{number}.png", number) for number in range(5)]
    await set_faults(oss, {"oss": {"kind": "hang"}})
    try:
        await page.set_input_files("#file", [*pictures, noise("broken.png", 500)])
        await expect(page.locator("#files canvas")).to_have_count(5)
        await expect(page.locator("#files [data-state=done]")).to_have_count(0)
        for number in range(5):
            red, green, blue, alpha = await row(page, f"held-{number}.png").locator("canvas").evaluate(CENTRE_OF_CANVAS)
            assert abs(red - 127) < 15
            assert abs(green - 127) < 15
            assert abs(blue - number * 53 % 256) < 15
            assert alpha == 255
        await expect(row(page, "broken.png").locator(".kind")).to_have_text("PNG")
        await page.get_by_role("button", name="Cancel all").click()
    finally:
        await set_faults(oss, {})
    await expect(page.locator("#files [data-state=cancelled]")).to_have_count(6)


async def test_a_picture_is_uploaded_from_the_clipboard(page: Page, demo: str) -> None:
    await open_picture_app(page, demo)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.evaluate("navigator.clipboard.writeText('a text')")
    await page.keyboard.press("Control+V")
    hint = page.locator("#hint")
    await expect(hint).to_have_text("The clipboard contains no file. Copy a picture or a file, then paste it here.")

    data: Any = picture("clipboard.png")["buffer"]
    await page.evaluate(PASTE_PICTURE, list(data))
    await page.keyboard.press("Control+V")
    item = row(page, "image.png")
    await expect_state(item, "done")
    await expect(hint).to_be_hidden()
    await expect(item.locator("canvas")).to_be_visible()
    key = await item.get_attribute("data-key")
    await expect(page.locator(f'#arrived [data-key="{key}"] img')).to_be_visible()


async def test_an_empty_file_is_refused_with_a_reason(page: Page, demo: str) -> None:
    await open_picture_app(page, demo)
    await page.set_input_files("#file", {"name": "empty.txt", "mimeType": "text/plain", "buffer": b""})
    item = row(page, "empty.txt")
    await expect_state(item, "failed")
    await expect(item.locator(".message")).to_have_text("The file is empty, and this app accepts no empty files.")
    await expect(button(item, "retry")).to_be_hidden()


async def test_another_app_has_its_own_total_and_a_disabled_one_shows_its_bucket(page: Page, demo: str) -> None:
    await open_picture_app(page, demo)
    await page.set_input_files("#file", [picture("total-1.png"), picture("total-2.png", 2)])
    await done(page, 2)
    await expect(page.locator("#total-text")).to_contain_text("2 of 2 finished, 100 %")
    disabled = next(app for app in await apps(demo) if not app["enabled"])
    await page.select_option("#app", disabled["id"])
    await expect(page.locator("#total")).to_be_hidden()
    await expect(page.locator("#app-off")).to_be_visible()
    await expect(page.locator("#arrived-empty")).to_be_visible()
    await expect(page.locator("#arrived-message")).to_be_hidden()
