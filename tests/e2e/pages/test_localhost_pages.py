"""Pages that a developer serves on this machine upload to the apps of the demo, from any port."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from tests.harness.browser import chromium, new_page
from tests.harness.processes import ROOT

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

UPLOAD = """async ({ endpoint, appId }) => {
  const { createUploader } = await import("/h5.mjs");
  const file = new File(["from my own page"], "mine.txt", { type: "text/plain" });
  return createUploader({ endpoint, appId, retries: 0 }).upload(file).catch(({ code }) => ({ code }));
}"""


async def upload_from(browser: Browser, host: str, endpoint: str, app_id: str) -> dict[str, Any]:
    """Serve a page on a port of its own, and upload a file from it with the library."""

    async def index(_request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>My page</title>", content_type="text/html")

    async def library(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(ROOT / "miniprogram" / "upload" / "h5.mjs", headers={"Content-Type": "text/javascript"})

    application = web.Application()
    application.router.add_get("/", index)
    application.router.add_get("/h5.mjs", library)
    async with TestServer(application, host="127.0.0.1") as server, new_page(browser, 800, 600) as page:
        await page.goto(str(server.make_url("/").with_host(host)))
        result: dict[str, Any] = await page.evaluate(UPLOAD, {"endpoint": endpoint, "appId": app_id})
        return result


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("app_id", ["wx1234567890abcdef", "an-app-of-mine"])
async def test_a_page_on_localhost_uploads(browser: Browser, demo: str, host: str, app_id: str) -> None:
    result = await upload_from(browser, host, demo, app_id)
    assert result.get("status") == 200, result
    async with aiohttp.ClientSession() as session, session.get(result["url"]) as response:
        assert await response.read() == b"from my own page"


async def test_a_page_of_another_site_does_not_upload(demo: str) -> None:
    async with chromium("--host-resolver-rules=MAP evil.example 127.0.0.1") as browser:
        assert await upload_from(browser, "evil.example", demo, "wx1234567890abcdef") == {"code": "network"}
