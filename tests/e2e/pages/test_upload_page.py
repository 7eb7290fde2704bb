"""The upload page of the demo in a browser."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest
from playwright.async_api import (
    ConsoleMessage,
    FileChooser,
    Page,
    Request,
    Route,
    expect,
)

from tests.e2e.pages.pictures import noise, picture
from tests.e2e.pages.readability import lightness, lowest_contrast
from tests.e2e.pages.upload_page import expect_state, file_larger_than, open_picture_app, row
from tests.harness.waiting import deadline

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_picked_file_is_uploaded_and_only_the_signer_and_oss_get_requests(page: Page, demo: str) -> None:
    requests: list[Request] = []
    errors: list[str] = []

    def record(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            errors.append(message.text)

    page.on("request", lambda request: requests.append(request))
    page.on("console", record)
    page.on("pageerror", lambda error: errors.append(str(error)))
    await open_picture_app(page, demo)
    file = picture("arrives.png")
    await page.set_input_files("#file", file)

    item = row(page, "arrives.png")
    await expect_state(item, "done")
    await expect(item.locator("progress")).to_have_js_property("value", 100)
    key = await item.get_attribute("data-key")
    arrived = page.locator(f'#arrived [data-key="{key}"]')
    await expect(arrived.locator("img")).to_be_visible()
    address = await arrived.get_by_role("link").get_attribute("href")
    assert address is not None
    async with aiohttp.ClientSession() as session, session.get(address) as response:
        assert await response.read() == file["buffer"]
        assert response.content_type == "image/png"

    form = await signed_form(requests)
    allowed = (demo.rstrip("/") + "/", form["url"], address, "data:")
    assert [request.url for request in requests if not request.url.startswith(allowed)] == []
    assert errors == []


async def signed_form(requests: list[Request]) -> dict[str, Any]:
    """Return the last form that the signer returned to the page."""
    form_requests = [request for request in requests if request.url.endswith("/uploads")]
    response = await form_requests[-1].response()
    assert response is not None
    assert response.status == 200
    document = await response.json()
    form: dict[str, Any] = document["uploads"][-1]
    return {**form, "fields": {**document["common_fields"], **form["fields"]}}


async def test_a_too_large_file_is_rejected_with_a_message_and_never_sent(
    page: Page, demo: str, tmp_path: Path
) -> None:
    app = await open_picture_app(page, demo)
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    await page.set_input_files("#file", file_larger_than(app["max_size_bytes"], tmp_path / "large.png"))

    item = row(page, "large.png")
    await expect_state(item, "failed")
    await expect(item.locator(".message")).to_have_text(
        f"Too large: the file has {app['max_size_bytes'] + 1:,} bytes; "
        f"this app accepts at most {app['max_size_bytes']:,} bytes."
    )
    await expect(item.locator(".trace")).to_contain_text("signer 413 · too_large · request ")
    await expect(item.get_by_role("button", name="Retry large.png")).to_be_hidden()
    assert posts
    assert [url for url in posts if not url.startswith(demo)] == []


async def test_the_policy_is_shown_without_the_security_token(page: Page, demo: str) -> None:
    app = await open_picture_app(page, demo)
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    await page.set_input_files("#file", picture("policy.png"))
    await expect_state(row(page, "policy.png"), "done")
    await page.click("#signed summary")

    fields = (await signed_form(requests))["fields"]
    token = fields["x-oss-security-token"]
    policy = json.loads(base64.b64decode(fields["policy"]))
    for condition in policy["conditions"]:
        if "x-oss-security-token" in condition:
            condition["x-oss-security-token"] = "***"
    await expect(page.locator("#policy")).to_be_visible()
    shown = await page.locator("#policy").inner_text()
    assert json.loads(shown) == policy
    assert {"bucket": app["bucket"]} in policy["conditions"]
    file_names = await page.locator("#fields dt").all_inner_texts()
    assert file_names == [*fields, "file"]
    content = await page.content()
    assert token not in content
    assert fields["policy"] not in content


async def test_progress_grows_during_an_upload(page: Page, demo: str) -> None:
    await open_picture_app(page, demo)
    session = await page.context.new_cdp_session(page)
    await session.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_000_000},
    )
    await page.set_input_files("#file", noise("slow.png", 900_000))
    await page.wait_for_function(
        "() => { const bar = document.querySelector('#files [data-state=uploading] progress');"
        " return bar && bar.value > 0 && bar.value < 100 }"
    )
    await expect_state(row(page, "slow.png"), "done")


async def test_three_uploads_run_at_a_time_and_a_cancelled_one_can_be_retried(page: Page, demo: str) -> None:
    await open_picture_app(page, demo)
    released = asyncio.Event()

    async def delay(route: Route) -> None:
        if route.request.method == "POST" and not route.request.url.endswith("/uploads"):
            await released.wait()
        await route.continue_()

    await page.route(re.compile("."), delay)
    file_names = [f"held-{number}.png" for number in range(5)]
    await page.set_input_files("#file", [picture(name, number) for number, name in enumerate(file_names)])
    await expect(page.locator("#files [data-state=uploading]")).to_have_count(3)
    await expect(page.locator("#files [data-state=waiting]")).to_have_count(2)

    first, last = row(page, file_names[0]), row(page, file_names[4])
    await last.get_by_role("button", name=f"Cancel {file_names[4]}").press("Enter")
    await expect_state(last, "cancelled")
    await first.get_by_role("button", name=f"Cancel {file_names[0]}").press("Enter")
    await expect_state(first, "cancelled")
    await expect_state(row(page, file_names[3]), "uploading")
    retry = first.get_by_role("button", name=f"Retry {file_names[0]}")
    await expect(retry).to_be_focused()
    await retry.press("Enter")
    await expect_state(first, "waiting")

    released.set()
    await expect(page.locator("#files [data-state=done]")).to_have_count(4)
    await page.get_by_role("button", name="Clear finished").click()
    await expect(page.locator("#files > li")).to_have_count(0)


async def test_a_refusal_of_oss_is_shown_with_its_code_and_request_id(page: Page, demo: str) -> None:
    await open_picture_app(page, demo)

    async def break_policy(route: Route) -> None:
        response = await route.fetch()
        document = await response.json()
        for form in document["uploads"]:
            form["key_prefix"] = "elsewhere/"
        await route.fulfill(response=response, json=document)

    await page.route("**/uploads", break_policy)
    await page.set_input_files("#file", picture("refused.png"))
    item = row(page, "refused.png")
    await expect_state(item, "failed")
    await expect(item.locator(".message")).to_have_text(re.compile(r"^OSS rejected it: AccessDenied: .+\.$"))
    await expect(item.locator(".trace")).to_have_text(re.compile(r"^OSS 403 · .*request \S+$"))
    await expect(item.get_by_role("button", name="Retry refused.png")).to_be_hidden()


async def test_names_and_errors_never_become_markup(page: Page, demo: str) -> None:
    await open_picture_app(page, demo)
    name = "<img src=x onerror=document.title='owned'>.png"
    problem = {"title": "<b>no</b>", "status": 400, "detail": "<script>1</script>", "code": "x", "request_id": "<i>"}
    await page.route("**/uploads", lambda route: route.fulfill(status=400, json=problem))
    await page.set_input_files("#file", picture(name))
    item = row(page, name)
    await expect_state(item, "failed")
    await expect(item.locator(".message")).to_have_text("<b>no</b>: <script>1</script>.")
    assert await page.locator("#files img, #files script, #files b, #files i").count() == 0


@pytest.mark.parametrize("width", [1200, 375])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_all_text_is_readable_and_nothing_overflows(
    page: Page, demo: str, tmp_path: Path, scheme: Literal["light", "dark"], width: int
) -> None:
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await page.set_viewport_size({"width": width, "height": 900})
    app = await open_picture_app(page, demo)
    large = file_larger_than(app["max_size_bytes"], tmp_path / f"{'very-long-name-' * 12}.png")
    await page.set_input_files("#file", picture(f"{scheme}-{width}.png"))
    await expect_state(row(page, f"{scheme}-{width}.png"), "done")
    await page.set_input_files("#file", large)
    await expect_state(row(page, large.name), "failed")
    await page.click("#signed summary")
    await expect(page.locator("#arrived img").first).to_be_visible()

    background = await lightness(page)
    assert background > 200 if scheme == "light" else background < 60
    contrast, text = await lowest_contrast(page)
    assert contrast >= 4.5, text
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_every_control_has_a_name_and_is_reachable_by_keyboard(page: Page, demo: str) -> None:
    await open_picture_app(page, demo)
    # Listen early: Chromium intercepts the chooser only some time after it is requested to.
    chooser: asyncio.Future[FileChooser] = asyncio.get_running_loop().create_future()
    page.on("filechooser", lambda shown: chooser.set_result(shown))
    await expect(page.get_by_label("App", exact=True)).to_have_id("app")
    await expect(page.locator("#file")).to_have_accessible_name(re.compile("^Choose files"))
    await page.focus("#app")
    await page.keyboard.press("Tab")
    await expect(page.locator("#file")).to_be_focused()
    assert await page.locator("#drop").evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    await page.keyboard.press("Space")
    async with deadline():
        assert (await chooser).is_multiple()
