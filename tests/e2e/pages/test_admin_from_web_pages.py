"""An admin listener without a token, attacked by web pages in a browser on the same machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page
from yarl import URL

from tests.e2e.revisions import HEAD, app
from tests.harness.browser import chromium, new_page
from tests.harness.signer import Signer, signer
from tests.harness.waiting import wait_until


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Signer]:
    (config := tmp_path / "signer.yaml").write_text(f"{HEAD}apps:\n{app(1)}", encoding="utf-8")
    async with aiohttp.ClientSession() as session, signer(session, config) as signer_process:
        yield signer_process


@pytest_asyncio.fixture
async def page() -> AsyncIterator[Page]:
    """A page in a browser in which evil.example is this machine, as after DNS rebinding."""
    rebound = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    async with chromium(rebound) as browser, new_page(browser, 800, 600) as page:
        yield page


async def test_a_page_on_a_rebound_name_gets_and_changes_nothing(running: Signer, page: Page) -> None:
    await page.goto(str(URL(running.admin).with_host("evil.example") / "status"))
    assert "set server.admin_token" in await page.inner_text("body")
    for method, path in (("GET", "/-/definitions"), ("GET", "/status"), ("POST", "/-/reload"), ("POST", "/-/refresh")):
        script = f"fetch('{path}', {{method: '{method}'}}).then((response) => response.status)"
        assert await page.evaluate(script) == 403, path
    assert (await running.last_reload())["trigger"] == "start"


async def test_a_page_of_another_site_cannot_reload(running: Signer, page: Page) -> None:
    async def index(_request: web.Request) -> web.Response:
        return web.Response(text="<h1>Another site</h1>", content_type="text/html")

    application = web.Application()
    application.router.add_get("/", index)
    async with TestServer(application, host="127.0.0.1") as other:
        for host in ("evil.example", "127.0.0.1"):
            await page.goto(str(other.make_url("/").with_host(host)))
            # The answer is opaque to the page, but a POST like this one needs no permission to be sent.
            await page.evaluate(
                f"fetch('{running.admin}/-/reload', {{method: 'POST', mode: 'no-cors'}}).catch(() => 0)"
            )
    await wait_until(lambda: len(refused_reloads(running)) == 2)
    assert (await running.last_reload())["trigger"] == "start"


def refused_reloads(running: Signer) -> list[object]:
    return [entry for entry in running.log("request") if (entry.get("path"), entry.get("status")) == ("/-/reload", 403)]
