"""The upload page while the signer ends and returns, and while its definitions change."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.pages.pictures import picture
from tests.e2e.pages.upload_page import expect_state, open_picture_app, row, set_faults
from tests.harness.browser import new_page
from tests.harness.demo import demo
from tests.harness.files import write
from tests.harness.ports import reserve_port

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

APP = "version: 1\napps:\n  first: {key_prefix: first/, bucket: photos, region: cn-hangzhou, credentials: r}\n"
CREDENTIALS = "credentials: {r: {type: ecs_ram_role}}\n"


async def test_the_message_is_removed_when_the_signer_is_back(page: Page) -> None:
    port = ("--port", str(reserve_port()))
    notice = page.locator("#notice")
    async with demo(*port) as running:
        await open_picture_app(page, running.page)
        await expect(notice).to_be_hidden()
    await expect(notice).to_have_text("The signer does not respond. Is it still running?")
    await page.set_input_files("#file", picture("waits.png"))
    await expect_state(row(page, "waits.png"), "failed")
    async with demo(*port):
        await expect(notice).to_be_hidden()
        await expect(page.locator("#arrived-message")).to_be_hidden()
        await page.get_by_role("button", name="Retry waits.png").click()
        await expect_state(row(page, "waits.png"), "done")


async def test_a_signer_that_hangs_is_reported_until_it_responds(page: Page) -> None:
    notice = page.locator("#notice")
    async with demo() as running:
        await open_picture_app(page, running.page)
        running.process.send_signal(signal.SIGSTOP)
        try:
            await expect(notice).to_have_text("The signer does not respond. Is it still running?")
        finally:
            running.process.send_signal(signal.SIGCONT)
        await expect(notice).to_be_hidden()


async def test_an_outage_of_the_metadata_service_is_named_while_the_upload_is_retried(page: Page) -> None:
    async with demo("--fault", "metadata:reset") as running:
        await open_picture_app(page, running.page)
        await page.set_input_files("#file", picture("retried.png"))
        item = row(page, "retried.png")
        message = "The signer has no usable credential for this app at the moment."
        await expect(item.locator(".state")).to_have_text(f"Retrying: {message}")
        await set_faults(running.oss, {})
        await expect_state(item, "done")


async def test_edited_definitions_and_files_of_other_clients_show_without_a_reload(
    page: Page, browser: Browser, tmp_path: Path
) -> None:
    write(config := tmp_path / "signer.yaml", APP + CREDENTIALS)
    async with demo("--config", str(config)) as running:
        await page.goto(running.page)
        await expect(page.locator("#app option")).to_have_text(["first"])
        second = APP.partition("apps:\n")[2].replace("first", "second")
        write(config, APP + second + CREDENTIALS)
        await expect(page.locator("#app option")).to_have_text(["first", "second"])
        await expect(page.locator("#arrived-empty")).to_be_visible()

        async with new_page(browser, 800, 600) as other:
            await other.goto(running.page)
            await expect(other.locator("#file")).to_be_enabled()
            await other.set_input_files("#file", picture("from-elsewhere.png"))
            await expect_state(row(other, "from-elsewhere.png"), "done")
        await expect(page.locator("#arrived .name")).to_have_text(["from-elsewhere.png"])
