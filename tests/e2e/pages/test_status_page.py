"""/status in a browser, with fifty apps and a role without a token; and as JSON for programs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from tests.e2e.pages.readability import lightness, lowest_contrast
from tests.e2e.pages.status_definitions import MARKUP, SECRET, app_id, definitions
from tests.harness.browser import new_page
from tests.harness.files import write
from tests.harness.local_cloud import local_cloud
from tests.harness.signer import Signer, signer

pytestmark = pytest.mark.asyncio(loop_scope="module")

Scheme = Literal["light", "dark"]
Running = tuple[Signer, Path]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The signer and the file of its definitions."""
    config = tmp_path_factory.mktemp("status") / "signer.yaml"
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        write(config, definitions(cloud))
        async with signer(session, config) as signer_process:
            for number in (5, 5, 5, 7, 17):
                await signer_process.upload_status(app_id(number))
            yield signer_process, config


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page in which no request, script or policy may fail."""
    errors: list[str] = []

    def record(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            errors.append(message.text)

    async with new_page(browser, 1280, 900) as page:
        page.on("console", record)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.clock.install()
        yield page
    assert errors == []


async def refresh(page: Page) -> None:
    """Advance the page's clock until it requests /status again, and return once it has the response."""
    async with page.expect_response(re.compile(r"/status(\?.*)?$")) as response:
        await page.clock.run_for(5_100)
    await (await response.value).finished()


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_fifty_apps_and_a_role_without_a_token_are_readable(
    running: Running, page: Page, scheme: Scheme, width: int
) -> None:
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 900})
    await page.goto(f"{running[0].admin}/status")

    await expect(page.locator("#state")).to_have_text("not ready")
    await expect(page.locator("#alerts")).to_contain_text("partner: no usable token; 2 apps")
    rows = page.locator("#apps tbody tr")
    await expect(rows).to_have_count(50)
    assert await rows.first.locator("th code").inner_text() == app_id(5)
    broken = page.locator("#roles tr[data-key='partner']")
    await expect(broken.locator(".state")).to_contain_text("no token")
    await expect(page.locator("#roles tr[data-key='partner/error']")).to_contain_text("AccessKey")
    whole = page.locator("#roles tr[data-key='archive'] .bar rect.left")
    assert 90 < float(await whole.get_attribute("width") or 0) <= 100

    background = await lightness(page)
    assert background > 200 if scheme == "light" else background < 60
    contrast, text = await lowest_contrast(page)
    assert contrast >= 4.5, text
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_page_refreshes_itself_and_keeps_nodes_scroll_and_focus(running: Running, page: Page) -> None:
    signer_process, config = running
    await page.goto(f"{signer_process.admin}/status")
    await page.evaluate(
        "() => { document.getElementById('apps').scrollIntoView();"
        " document.getElementById('q').focus({preventScroll: true});"
        " window.chart = document.querySelector('#charts svg'); window.row = document.querySelector('#apps tbody tr') }"
    )
    counted = page.locator(f"#apps tr[data-key='{app_id(9)}'] td[data-label=Signed]")
    await expect(counted).to_have_text("0")
    top = "document.getElementById('apps').getBoundingClientRect().top"
    place = await page.evaluate(top)

    assert await signer_process.upload_status(app_id(9)) == 201
    former = config.read_text(encoding="utf-8")
    write(config, former.replace("max_size: 10MiB", "max_size: 10MiB, max_sise: 3"))
    assert (await signer_process.reload())[0] == 422
    await refresh(page)
    line = 1 + former.split("max_size")[0].count("\n")
    mistake = page.locator("#reload .mistakes li")
    await expect(mistake).to_contain_text(re.compile(rf"signer\.yaml:{line}:\d+ .*max_size"))
    await expect(counted).to_have_text("1")
    assert await page.evaluate("[row.isConnected, chart.isConnected, document.activeElement.id]") == [True, True, "q"]
    # A line with the mistake was added above; the part in view stays where it is.
    assert abs(await page.evaluate(top) - place) <= 1

    write(config, former.replace("max_size: 10MiB", "max_size: 9MiB"))
    assert (await signer_process.reload())[0] == 200
    await refresh(page)
    await expect(mistake).to_have_count(0)
    await expect(page.locator("#reload .changes li").first).to_contain_text("max_size 10MiB -> 9MiB")
    assert (await signer_process.status())["last_reload"]["succeeded"]


async def test_names_never_become_markup(running: Running, page: Page) -> None:
    await page.goto(f"{running[0].admin}/status?q={MARKUP}")
    await expect(page.locator("#apps tbody tr td[data-label=Name]")).to_have_text([MARKUP])
    await expect(page.locator("#q")).to_have_value(MARKUP)
    await refresh(page)
    await expect(page.locator("#apps tbody tr td[data-label=Name]")).to_have_text([MARKUP])
    assert await page.locator("body script, main img").count() == 0
    assert "owned" not in await page.title()


async def test_the_search_box_filters_apps_and_roles(running: Running, page: Page) -> None:
    await page.goto(f"{running[0].admin}/status")
    await page.locator("#q").press_sequentially("PARTNER")
    await page.clock.run_for(300)
    await expect(page.locator("#apps tbody tr")).to_have_count(2)
    await expect(page.locator("#roles tbody tr")).to_have_count(2)
    await expect(page.locator("#apps h2")).to_contain_text("2 of 50")
    await expect(page.locator("#q")).to_be_focused()
    assert page.url.endswith("/status?q=PARTNER")
    await page.reload()
    await expect(page.locator("#apps tbody tr")).to_have_count(2)


async def test_json_has_the_documented_members(running: Running) -> None:
    found = await running[0].status("?q=partner")
    assert found["version"]
    assert found["apps"] == 50
    assert found["worker"] is None
    assert [role["role"] for role in found["roles"] if not role["usable"]] == ["partner"]
    assert not found["ready"]
    assert [app["role"] for app in found["busiest_apps"]] == ["partner", "partner"]
    assert found["busiest_apps"][0]["last_hour"] == {"signed": 0, "refused": 0, "failed": 1}
    assert len(found["last_hour"]["points"]) == 120
    assert {"at", "trigger", "succeeded", "revision", "changes", "mistakes", "error"} <= found["last_reload"].keys()


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("text/html;q=0", "application/json"),
        ("text/html;q=often", "application/json"),
        ("*/*", "application/json"),
        ("", "application/json"),
    ],
)
async def test_a_browser_gets_the_page_and_other_clients_get_json(
    running: Running, accept: str, content_type: str
) -> None:
    async with running[0].session.get(f"{running[0].admin}/status", headers={"Accept": accept}) as response:
        assert (response.status, response.content_type) == (200, content_type)
        assert response.headers["Vary"] == "Accept"
        if content_type == "text/html":
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self';")
            assert "unsafe" not in policy


@pytest.mark.parametrize("query", ["?page=0", "?page=-1", "?page=99999999999999999999", "?page=x", "?q=%00", "?page=²"])
async def test_any_query_gets_a_page(running: Running, query: str) -> None:
    async with running[0].session.get(f"{running[0].admin}/status{query}", headers={"Accept": "text/html"}) as response:
        assert response.status == 200


async def test_a_query_that_is_not_utf_8_is_refused(running: Running) -> None:
    async with running[0].session.get(f"{running[0].admin}/status?q=%ff", headers={"Accept": "text/html"}) as response:
        assert response.status == 400
        assert "parameter 'q'" in (await response.json())["detail"]


async def test_the_page_contains_no_secret(running: Running) -> None:
    form = await running[0].upload_form(app_id(5))
    for accept in ("text/html", "application/json"):
        async with running[0].session.get(f"{running[0].admin}/status", headers={"Accept": accept}) as response:
            text = await response.text()
        for secret in (
            SECRET,
            "local-secret",
            form["fields"]["x-oss-security-token"],
            form["fields"]["x-oss-signature"],
        ):
            assert secret not in text
