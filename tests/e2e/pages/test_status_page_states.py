"""/status with two thousand apps, over time, and after the signer has ended."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.e2e.pages.status_definitions import SECRET
from tests.harness.fast_clock import fast_clock
from tests.harness.files import write
from tests.harness.signer import signer
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_two_thousand_apps_are_paged_and_the_busiest_are_first(page: Page, tmp_path: Path) -> None:
    apps = "".join(f"  app-{number:04}: {{}}\n" for number in range(2000))
    credentials = f"credentials: {{r: {{type: static, access_key_id: LTAI, access_key_secret: {SECRET}}}}}\n"
    head = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
    defaults = "defaults: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r}\n"
    write(config := tmp_path / "many.yaml", head + credentials + defaults + "apps:\n" + apps)
    async with aiohttp.ClientSession() as session, signer(session, config) as many:
        await many.upload_status("app-1234")
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
        assert len((await many.status())["busiest_apps"]) == 50


async def test_the_charts_show_what_happened(tmp_path: Path) -> None:
    """By a clock that runs twenty times as fast as the machine's, a point is one and a half seconds."""
    credentials = f"credentials: {{r: {{type: static, access_key_id: LTAI, access_key_secret: {SECRET}}}}}\n"
    head = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
    app = "{key_prefix: '', bucket: b-1, region: cn-hangzhou, credentials: r}"
    write(config := tmp_path / "one.yaml", f"{head}{credentials}apps: {{a: {app}}}\n")
    async with (
        aiohttp.ClientSession() as session,
        fast_clock(20) as clock,
        signer(session, config, environ=clock.environ) as one,
    ):

        async def three_points() -> list[dict[str, float]] | None:
            assert await one.upload_status("a") == 201
            known = [point for point in (await one.status())["last_hour"]["points"] if point is not None]
            return known if len(known) >= 3 else None

        known = await wait_until(three_points)
        assert known[1]["signed_per_second"] > 0
        assert known[1]["failed_per_second"] == 0
        assert known[1]["p99_seconds"] >= known[1]["median_seconds"] > 0
        assert known[0]["seconds_ago"] > known[1]["seconds_ago"] > known[2]["seconds_ago"]
        async with session.get(f"{one.admin}/status", headers={"Accept": "text/html"}) as response:
            assert re.search(r'<path class="line good" d="M[^"]+L', await response.text())


async def test_the_page_shows_that_the_signer_does_not_respond(page: Page, tmp_path: Path) -> None:
    credentials = f"credentials: {{r: {{type: static, access_key_id: LTAI, access_key_secret: {SECRET}}}}}\n"
    head = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
    write(
        config := tmp_path / "one.yaml",
        f"{head}{credentials}apps: {{a: {{key_prefix: '', bucket: b-1, region: cn-hangzhou, credentials: r}}}}",
    )
    await page.clock.install()
    async with aiohttp.ClientSession() as session, signer(session, config) as one:
        await page.goto(f"{one.admin}/status")
        await expect(page.locator("#state")).to_have_text("ready")
        assert await one.stop() == 0
    await page.clock.run_for(5_100)
    await expect(page.locator("#state")).to_have_text("no response")
    await expect(page.locator("#apps tbody tr")).to_have_count(1)
