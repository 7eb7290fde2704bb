"""A web page with the library, whose memory can be measured."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page

from tests.e2e.large_files.site import UPLOADER_OPTIONS, Site
from tests.harness.browser import TIMEOUT_MS
from tests.harness.processes import ROOT

PAGE = Path(__file__).parent / "page.html"
SOURCES = ROOT / "miniprogram" / "upload" / "src"
_ALLOCATED = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)
_INTERVAL_SECONDS = 0.05


@contextlib.asynccontextmanager
async def page_server() -> AsyncIterator[str]:
    """Serve the page and the library, and yield the origin."""

    async def get_page(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE)

    async def get_module(request: web.Request) -> web.StreamResponse:
        path = SOURCES / request.match_info["name"]
        return web.FileResponse(path, headers={"Content-Type": "text/javascript"})

    app = web.Application()
    app.router.add_get("/", get_page)
    app.router.add_get("/src/{name}", get_module)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class WebSite:
    """A site, and a browser whose pages use it."""

    site: Site
    browser: Browser
    origin: str
    file: Path
    """The file that is chosen in each page."""

    async def open_page(self, context: BrowserContext) -> Page:
        """Open a page, and choose the file."""
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        await page.goto(self.origin)
        await page.wait_for_function("window.upload !== undefined")
        await page.set_input_files("#file", self.file)
        return page

    async def upload(self, page: Page, app_id: str, **options: Any) -> dict[str, Any]:
        """Upload the chosen file, and return the result or the error."""
        result: dict[str, Any] = await page.evaluate("(options) => upload(options)", self._options(app_id, options))
        return result

    async def start(self, page: Page, app_id: str, parts: int, **options: Any) -> None:
        """Start to upload the chosen file, and return when this many parts are stored."""
        await page.evaluate("(options) => { window.running = upload(options) }", self._options(app_id, options))
        await page.wait_for_function("(parts) => window.stored >= parts", arg=parts)

    def _options(self, app_id: str, options: dict[str, Any]) -> dict[str, Any]:
        return {"endpoint": self.site.signer.public, "appId": app_id, **UPLOADER_OPTIONS, **options}


class PageMemory:
    """The memory of the processes that run pages of a browser: what they have allocated, without the browser's code."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._start_bytes = self._peak_bytes = self._allocated_bytes()

    @classmethod
    @contextlib.asynccontextmanager
    async def measured(cls, browser: Browser) -> AsyncIterator[PageMemory]:
        """Measure until the end of the block."""
        session = await browser.new_browser_cdp_session()
        processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
        await session.detach()
        memory = cls([each["id"] for each in processes if each["type"] == "renderer"])
        task = asyncio.create_task(memory._measure())
        try:
            yield memory
        finally:
            task.cancel()

    @property
    def growth_bytes(self) -> int:
        """The difference between the peak and the memory at the start."""
        return self._peak_bytes - self._start_bytes

    async def _measure(self) -> None:
        while True:
            self._peak_bytes = max(self._peak_bytes, self._allocated_bytes())
            await asyncio.sleep(_INTERVAL_SECONDS)

    def _allocated_bytes(self) -> int:
        return sum(_allocated_by(pid) for pid in self._pids)


def _allocated_by(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return sum(int(number) for number in _ALLOCATED.findall(status)) * 1024
