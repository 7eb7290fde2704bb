"""/status in a real browser: fifty apps and one broken role, both themes, a phone; and as JSON for programs."""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from tests.e2e.test_page import LEAST_CONTRAST
from tests.harness.fast_clock import fast_clock
from tests.harness.files import write
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.processes import ROOT
from tests.harness.signer import Signer, signer
from tests.harness.waiting import DEADLINE_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")

Scheme = Literal["light", "dark"]
Running = tuple[Signer, Path]

SECRET = "plAnted-secret-of-an-AccessKey"
MARKUP = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
SHOPS = "Photo wall,Tea house,Running club,Parcel locker,School bus,Pet clinic,Market stall,Choir,Repair desk,Museum"
ROLES = """\
  uploader: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}
  marketing: {{type: assume_role, endpoint: "{cloud.sts}", duration: 1h}}
  logistics: {{type: assume_role, endpoint: "{cloud.sts}", duration: 45m, session_name: logistics}}
  archive: {{type: assume_role, endpoint: "{cloud.sts}", duration: 30m, session_name: archive}}
  partner:
    type: assume_role
    endpoint: "{cloud.sts}"
    role_arn: acs:ram::9876543210987654:role/oss-upload
    access_key_id: LTAI-gone
    access_key_secret: {secret}
"""


def definitions(cloud: Cloud, *, first_name: str = MARKUP) -> str:
    head = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\ncredentials:\n'
    roles = ["uploader", "marketing", "logistics", "archive"]
    shops = SHOPS.split(",")
    apps = []
    for number in range(50):
        shop = shops[number % len(shops)]
        role = "partner" if number in (17, 34) else roles[number * 7 % 13 % 4]
        name = first_name if number == 0 else f"{shop} {'ABCDE'[number // 10]}"
        bucket = f"{shop.lower().replace(' ', '-')}-prod"
        limit = ", rate_limit: {per_app: 6/m}" if number == 1 else ""
        apps.append(f'  {app_id(number)}: {{name: "{name}", bucket: {bucket}, credentials: {role}{limit}}}\n')
    defaults = "defaults: {region: cn-hangzhou, key_prefix: '{yyyy}/{mm}/', max_size: 10MiB}\napps:\n"
    return head + ROLES.format(cloud=cloud, secret=SECRET) + defaults + "".join(apps)


def app_id(number: int) -> str:
    return f"wx{number * 0x9E3779B97F4A7C15 % 2**64:016x}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The signer, and its definitions."""
    config = tmp_path_factory.mktemp("status") / "signer.yaml"
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        write(config, definitions(cloud))
        async with signer(session, config) as signer_process:
            for number in (5, 5, 5, 7, 17):
                await ask(signer_process, app_id(number))
            yield signer_process, config


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page of its own; nothing may be refused or fail in it."""
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    page = await browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(15_000)
    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.clock.install()
    yield page
    await page.close()
    assert complaints == []


async def ask(running: Signer, app: str) -> int:
    async with running.session.post(f"{running.public}/v1/apps/{app}/uploads", json={}) as response:
        return response.status


async def status(running: Signer, query: str = "") -> dict[str, Any]:
    headers = {"Accept": "application/json"}
    async with running.session.get(f"{running.admin}/status{query}", headers=headers) as response:
        assert response.content_type == "application/json"
        members: dict[str, Any] = await response.json()
        return members


async def refreshed(page: Page) -> None:
    """Lets the page's own clock run until it asks anew, and waits until it has the response."""
    async with page.expect_response(re.compile(r"/status(\?.*)?$")) as response:
        await page.clock.run_for(5_100)
    await (await response.value).finished()


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_fifty_apps_and_a_broken_role_are_readable(
    running: Running, page: Page, scheme: Scheme, width: int
) -> None:
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 900})
    await page.goto(f"{running[0].admin}/status")

    await expect(page.locator("#verdict")).to_have_text("not ready")
    await expect(page.locator("#troubles")).to_contain_text("partner: no usable token; 2 apps")
    rows = page.locator("#apps tbody tr")
    await expect(rows).to_have_count(50)
    assert await rows.first.locator("th code").inner_text() == app_id(5)
    broken = page.locator("#roles tr[data-key='partner']")
    await expect(broken.locator(".state")).to_contain_text("no token")
    await expect(page.locator("#roles tr[data-key='partner/error']")).to_contain_text("AccessKey")
    whole = page.locator("#roles tr[data-key='archive'] .bar rect.left")
    assert 90 < float(await whole.get_attribute("width") or 0) <= 100

    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(int(part) for part in re.findall(r"\d+", ground)[:3]) / 3
    assert lightness > 200 if scheme == "light" else lightness < 60
    contrast, text = await page.evaluate(LEAST_CONTRAST)
    assert contrast >= 4.5, text
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_it_refreshes_itself_and_keeps_nodes_scroll_and_focus(running: Running, page: Page) -> None:
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

    assert await ask(signer_process, app_id(9)) == 201
    former = config.read_text(encoding="utf-8")
    write(config, former.replace("max_size: 10MiB", "max_size: 10MiB, max_sise: 3"))
    assert (await signer_process.reload())[0] == 422
    await refreshed(page)
    line = 1 + former.split("max_size")[0].count("\n")
    mistake = page.locator("#reload .mistakes li")
    await expect(mistake).to_contain_text(re.compile(rf"signer\.yaml:{line}:\d+ .*max_size"))
    await expect(counted).to_have_text("1")
    assert await page.evaluate("[row.isConnected, chart.isConnected, document.activeElement.id]") == [True, True, "q"]
    # What is above has grown by a line that tells of the mistake; what one reads stays where it is.
    assert abs(await page.evaluate(top) - place) <= 1

    write(config, former.replace("max_size: 10MiB", "max_size: 9MiB"))
    assert (await signer_process.reload())[0] == 200
    await refreshed(page)
    await expect(mistake).to_have_count(0)
    await expect(page.locator("#reload .changes li").first).to_contain_text("max_size 10MiB -> 9MiB")
    assert (await status(signer_process))["last_reload"]["succeeded"]


async def test_names_never_become_markup(running: Running, page: Page) -> None:
    await page.goto(f"{running[0].admin}/status?q={MARKUP}")
    await expect(page.locator("#apps tbody tr td[data-label=Name]")).to_have_text([MARKUP])
    await expect(page.locator("#q")).to_have_value(MARKUP)
    await refreshed(page)
    await expect(page.locator("#apps tbody tr td[data-label=Name]")).to_have_text([MARKUP])
    assert await page.locator("body script, main img").count() == 0
    assert "owned" not in await page.title()


async def test_the_box_finds_apps_and_roles_as_one_types(running: Running, page: Page) -> None:
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


async def test_json_for_programs_keeps_its_members(running: Running) -> None:
    found = await status(running[0], "?q=partner")
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
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("text/html;q=0", "application/json"),
        ("text/html;q=often", "application/json"),
        ("*/*", "application/json"),
        ("", "application/json"),
    ],
)
async def test_a_browser_gets_the_page_and_everybody_else_json(running: Running, accept: str, kind: str) -> None:
    async with running[0].session.get(f"{running[0].admin}/status", headers={"Accept": accept}) as response:
        assert (response.status, response.content_type) == (200, kind)
        assert response.headers["Vary"] == "Accept"
        if kind == "text/html":
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self';")
            assert "unsafe" not in policy


@pytest.mark.parametrize(
    "query", ["?page=0", "?page=-1", "?page=99999999999999999999", "?page=x", "?q=%00%ff", "?page=²"]
)
async def test_whatever_is_asked_for_there_is_a_page(running: Running, query: str) -> None:
    async with running[0].session.get(f"{running[0].admin}/status{query}", headers={"Accept": "text/html"}) as response:
        assert response.status == 200


async def test_no_secret_is_on_it(running: Running) -> None:
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


async def test_two_thousand_apps_are_pages_and_the_busiest_come_first(tmp_path: Path, page: Page) -> None:
    apps = "".join(f"  app-{number:04}: {{}}\n" for number in range(2000))
    credentials = f"credentials: {{r: {{type: static, access_key_id: LTAI, access_key_secret: {SECRET}}}}}\n"
    head = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
    defaults = "defaults: {bucket: photos, region: cn-hangzhou, credentials: r}\n"
    write(config := tmp_path / "many.yaml", head + credentials + defaults + "apps:\n" + apps)
    async with aiohttp.ClientSession() as session, signer(session, config) as many:
        await ask(many, "app-1234")
        await page.goto(f"{many.admin}/status")
        rows = page.locator("#apps tbody tr")
        await expect(rows).to_have_count(50)
        await expect(rows.first).to_have_attribute("data-key", "app-1234")
        await expect(page.locator(".pages")).to_contain_text("1 to 50 of 2,000")
        await page.get_by_role("link", name="next").click()
        await expect(rows.first).to_have_attribute("data-key", "app-0049")
        async with session.get(f"{many.admin}/status?page=40", headers={"Accept": "text/html"}) as response:
            assert len(last := await response.text()) < 100_000
        assert ">app-1999<" in last
        assert len((await status(many))["busiest_apps"]) == 50


async def test_the_charts_fill_as_time_goes_by(tmp_path: Path) -> None:
    """By a clock that runs sixty times as fast as ours: a point is half a second."""
    credentials = f"credentials: {{r: {{type: static, access_key_id: LTAI, access_key_secret: {SECRET}}}}}\n"
    head = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
    app = "{bucket: b-1, region: cn-hangzhou, credentials: r}"
    write(config := tmp_path / "one.yaml", f"{head}{credentials}apps: {{a: {app}}}\n")
    async with (
        aiohttp.ClientSession() as session,
        fast_clock(60) as clock,
        signer(session, config, environ=clock.environ) as one,
        asyncio.timeout(DEADLINE_SECONDS),
    ):
        known: list[dict[str, float]] = []
        while len(known) < 3:
            assert await ask(one, "a") == 201
            known = [point for point in (await status(one))["last_hour"]["points"] if point is not None]
            await asyncio.sleep(0.02)
        assert known[1]["signed_per_second"] > 0
        assert known[1]["failed_per_second"] == 0
        assert known[1]["p99_seconds"] >= known[1]["median_seconds"] > 0
        assert known[0]["seconds_ago"] > known[1]["seconds_ago"] > known[2]["seconds_ago"]
        async with session.get(f"{one.admin}/status", headers={"Accept": "text/html"}) as response:
            assert re.search(r'<path class="line good" d="M[^"]+L', await response.text())


async def test_it_says_so_when_the_signer_is_gone(tmp_path: Path, browser: Browser) -> None:
    credentials = f"credentials: {{r: {{type: static, access_key_id: LTAI, access_key_secret: {SECRET}}}}}\n"
    head = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
    write(
        config := tmp_path / "one.yaml",
        f"{head}{credentials}apps: {{a: {{bucket: b-1, region: cn-hangzhou, credentials: r}}}}",
    )
    page = await browser.new_page()
    await page.clock.install()
    async with aiohttp.ClientSession() as session, signer(session, config) as one:
        await page.goto(f"{one.admin}/status")
        await expect(page.locator("#verdict")).to_have_text("ready")
        assert await one.stop() == 0
    await page.clock.run_for(5_100)
    await expect(page.locator("#verdict")).to_have_text("does not answer")
    await expect(page.locator("#apps tbody tr")).to_have_count(1)
    await page.close()


@pytest.mark.skipif(os.environ.get("UPDATE_SCREENSHOTS") != "1", reason="UPDATE_SCREENSHOTS=1 writes the pictures")
async def test_screenshots(browser: Browser, tmp_path: Path) -> None:
    """Half an hour of some traffic, by a clock that runs twelve times as fast as ours."""
    speed, length_seconds = 12, float(os.environ.get("SCREENSHOT_SECONDS", "2100"))
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        clock = await stack.enter_async_context(fast_clock(speed))
        cloud = await stack.enter_async_context(local_cloud(session, environ=clock.environ))
        text = definitions(cloud, first_name="Photo wall A")
        write(config := tmp_path / "signer.yaml", text)
        running = await stack.enter_async_context(signer(session, config, environ=clock.environ))
        asking = [asyncio.create_task(some_traffic(running, number, length_seconds / speed)) for number in range(8)]
        done, _ = await asyncio.wait(asking, timeout=length_seconds / speed + DEADLINE_SECONDS)
        assert len(done) == len(asking), [task.result() for task in done]
        edited = text.replace(f"  {app_id(12)}:", f"  {app_id(50)}:").replace("per_app: 6/m", "per_app: 60/m")
        write(config, edited.replace("duration: 45m", "duration: 50m"))
        assert (await running.reload())[0] == 200
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            await page.goto(f"{running.admin}/status")
            await page.screenshot(path=ROOT / "docs" / f"status-{scheme}.png", full_page=True, animations="disabled")
        if other := os.environ.get("OTHER_SCREENSHOTS"):
            await page.set_viewport_size({"width": 375, "height": 800})
            clip = {"x": 0.0, "y": 0.0, "width": 375.0, "height": 2200.0}
            await page.screenshot(path=f"{other}/phone.png", full_page=True, clip=clip)  # type: ignore[arg-type]
        await page.close()


async def some_traffic(running: Signer, worker: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    chance = random.Random(worker)
    while (left := until - loop.time()) > 0:
        # Some apps are asked for far more often than others, and there is more of it in the middle.
        await ask(running, app_id(int(50 * chance.random() ** 2.5)))
        await asyncio.sleep(0.1 + 0.4 * abs(left / seconds - 0.45) + 0.1 * chance.random())
