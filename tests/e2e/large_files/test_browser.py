"""A web page uploads a video of 300 MB over a network that resets each connection after 20 MB, delays data and stalls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.large_files.site import (
    MAX_MEMORY_BYTES,
    MAX_SENT_SHARE,
    MEGABYTE,
    RESET_AFTER_BYTES,
    site,
    write_video,
)
from tests.e2e.large_files.web_page import PageMemory, WebSite, page_server
from tests.harness.browser import chromium

pytestmark = pytest.mark.slow

SIZE_BYTES = 300 * MEGABYTE


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[WebSite]:
    async with page_server() as origin, site(tmp_path, origin) as running, chromium() as browser:
        yield WebSite(running, browser, origin, tmp_path / "trip.mp4")


async def test_a_video_is_stored_once(running: WebSite) -> None:
    digest = write_video(running.file, SIZE_BYTES)
    page = await running.open_page(await running.browser.new_context())
    async with PageMemory.measured(running.browser) as memory:
        result = await running.upload(page, "videos")
    network, share = running.site.network, running.site.network.received_bytes / SIZE_BYTES
    print(
        f"sent {share:.3f} of the file; {network.resets} resets, {network.stalls} stalls; {memory.growth_bytes} bytes"
    )
    assert "key" in result, result
    assert await running.site.stored(running.file.name) == {result["key"]: digest}
    assert await page.evaluate("window.lowered") == 0
    assert network.resets >= SIZE_BYTES // RESET_AFTER_BYTES // 2 and network.stalls > 0
    assert share <= MAX_SENT_SHARE
    assert memory.growth_bytes <= MAX_MEMORY_BYTES


async def test_as_a_form_it_never_completes(running: WebSite) -> None:
    write_video(running.file, SIZE_BYTES)
    page = await running.open_page(await running.browser.new_context())
    result = await running.upload(page, "forms", retries=2)
    assert result["code"] in ("network", "timeout")
    assert running.site.network.resets + running.site.network.stalls >= 3
    assert await running.site.stored(running.file.name) == {}
