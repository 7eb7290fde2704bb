"""Every line of the library that a browser needs, with coverage as Chromium measures it."""

from __future__ import annotations

import asyncio
import base64
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.pages.upload_page import apps
from tests.harness.processes import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCES = ROOT / "miniprogram" / "upload" / "src"
MIN_COVERAGE = 0.95

UPLOAD_ALL = """async ({ endpoint, appId }) => {
  const { createUploader, createCancel } = await import("/src/h5.mjs");
  const refusals = [];
  const headers = (refused) => { refusals.push(!!refused); return { "X-Caller": "nobody" }; };
  const uploader = createUploader({ endpoint, appId, headers, retryDelayMs: 5, retries: 2 });
  const file = new File(["in a file"], "a note.txt", { type: "text/plain" });
  const outcome = (promise) => promise.then((result) => result, (error) => ({ code: error.code, key: error.key }));
  const progress = [];
  const one = await outcome(uploader.upload(file, { onProgress: ({ percent }) => progress.push(percent) }));
  const nameless = await outcome(uploader.upload(new Blob(["in a blob"])));
  const named = await outcome(uploader.upload(new Blob(["x"], { type: "image/gif" }), { filename: "b.gif" }));
  const pasted = await outcome(uploader.upload("data:text/plain;base64,aW4gYSBVUkw=", { filename: "c.txt" }));
  const read = await outcome(uploader.upload(new TextEncoder().encode("in a buffer").buffer, { filename: "d.txt" }));
  const canvas = document.createElement("canvas");
  const drawn = await outcome(uploader.upload(canvas));
  const drawing = canvas.toDataURL().split(",")[1];
  const cancel = createCancel();
  const onState = (state) => state === "uploading" && setTimeout(cancel.abort);
  window.hold = true;
  const cancelled = await outcome(uploader.upload(file, { signal: cancel.signal, onState }));
  const controller = new AbortController();
  controller.abort();
  const never = await outcome(uploader.upload(file, { signal: controller.signal }));
  const slow = createUploader({ endpoint, appId, timeoutMs: 50, retries: 0 });
  const late = await outcome(slow.upload(file));
  return { one, nameless, named, pasted, read, drawn, drawing, cancelled, never, late, progress, refusals };
}"""


async def test_every_line_that_a_browser_needs_is_covered(page: Page, demo: str) -> None:
    app = next(each for each in await apps(demo) if each["enabled"] and not each["content_types"])
    seen: Counter[str] = Counter()
    requests: list[Any] = []
    delayed: list[asyncio.Event] = []

    async def disturb(route: Route) -> None:
        request = route.request
        if request.method != "POST":
            return await route.continue_()
        if request.url.endswith("/uploads"):
            requests.extend((request.post_data_json or {})["files"])
        seen[request.url] += 1
        if seen[request.url] == 1:
            return await route.abort("connectionreset")
        if await page.evaluate("window.hold === true"):
            delayed.append(asyncio.Event())
            await delayed[-1].wait()
            return await route.abort()
        return await route.continue_()

    await page.route("**/src/*.mjs", send_source)
    await page.goto(demo)
    await expect(page.locator("#file")).to_be_enabled()
    await page.route(re.compile(rf"/{app['bucket']}$|/uploads$"), disturb)
    session = await page.context.new_cdp_session(page)
    await session.send("Profiler.enable")
    await session.send("Profiler.startPreciseCoverage", {"callCount": True, "detailed": True})
    result = await page.evaluate(UPLOAD_ALL, {"endpoint": demo, "appId": app["id"]})
    coverage = (await session.send("Profiler.takePreciseCoverage"))["result"]
    for each in delayed:
        each.set()

    assert result["cancelled"]["code"] == result["never"]["code"] == "cancelled"
    assert result["late"]["code"] == "timeout"
    sent = {(request.get("filename"), request.get("content_type")) for request in requests}
    assert sent == {
        ("a note.txt", "text/plain"),
        (None, None),
        ("b.gif", "image/gif"),
        ("d.txt", None),
        (None, "image/png"),
    }
    assert all(request["reuse"] for request in requests)
    assert result["refusals"] == [False] * len(result["refusals"])
    assert result["progress"] == sorted(result["progress"])
    assert result["progress"][-1] == 100
    prefix = re.escape(app["key_prefix"].replace("{yyyy}", "YYYY").replace("{mm}", "MM"))
    pattern = prefix.replace("YYYY", r"\d{4}").replace("MM", r"\d\d") + r"\w{15,}"
    for name, end, content_type, content in (
        ("one", "-a_note\\.txt", "text/plain", b"in a file"),
        ("nameless", "", "application/octet-stream", b"in a blob"),
        ("named", "-b\\.gif", "image/gif", b"x"),
        ("pasted", "-c\\.txt", "text/plain", b"in a URL"),
        ("read", "-d\\.txt", "text/plain", b"in a buffer"),
        ("drawn", "", "image/png", base64.b64decode(result["drawing"])),
    ):
        upload = result[name]
        assert re.fullmatch(pattern + end, upload["key"]), upload
        assert len(upload["etag"]) == 32
        async with aiohttp.ClientSession() as http, http.get(upload["url"]) as response:
            assert (response.content_type, await response.read()) == (content_type, content)
    share = covered_share(coverage, "/src/h5-platform.mjs", SOURCES / "h5-platform.mjs")
    print(f"coverage of h5-platform.mjs: {share:.1%}")
    assert share > MIN_COVERAGE


UPLOAD_CHOSEN = """async ({ endpoint, appId }) => {
  const { createUploader } = await import("/src/h5-multipart.mjs");
  const uploader = createUploader({ endpoint, appId, retryDelayMs: 5, multipartThreshold: 300_000 });
  const [file] = document.querySelector("#chosen").files;
  return uploader.upload(file).then(({ url }) => ({ url }), ({ code, message }) => ({ code, message }));
}"""


def replace(path: Path) -> None:
    path.write_bytes(b"y" * path.stat().st_size)
    os.utime(path, (1, 1))


@pytest.mark.parametrize(("size", "change"), [(1000, Path.unlink), (300_000, Path.unlink), (300_000, replace)])
async def test_a_file_that_is_gone_or_changed_cannot_be_read(
    page: Page, demo: str, tmp_path: Path, size: int, change: Callable[[Path], None]
) -> None:
    app = await open_video_page(page, demo)
    path = tmp_path / "trip.mp4"
    path.write_bytes(b"x" * size)
    await page.set_input_files("#chosen", path)
    # The browser reads the size when it is first used.
    assert await page.evaluate("document.querySelector('#chosen').files[0].size") == size
    change(path)
    result = await page.evaluate(UPLOAD_CHOSEN, {"endpoint": demo, "appId": app["id"]})
    assert result == {"code": "file", "message": "无法读取文件"}


async def test_a_page_whose_storage_is_blocked_uploads_in_parts(page: Page, demo: str, tmp_path: Path) -> None:
    """As in a sandboxed frame, or with cookies blocked: the browser refuses locks too."""
    await page.add_init_script(
        """const refuse = () => { throw new DOMException("Access is denied", "SecurityError"); };
        LockManager.prototype.request = async () => refuse();
        Object.defineProperty(window, "localStorage", { get: refuse });"""
    )
    app = await open_video_page(page, demo)
    path = tmp_path / "trip.mp4"
    path.write_bytes(os.urandom(1_300_000))
    await page.set_input_files("#chosen", path)
    result = await page.evaluate(UPLOAD_CHOSEN, {"endpoint": demo, "appId": app["id"]})
    async with aiohttp.ClientSession() as http, http.get(result["url"]) as response:
        assert await response.read() == path.read_bytes()


async def open_video_page(page: Page, demo: str) -> dict[str, Any]:
    """Open a page that can load the library from its sources, and return the app for videos."""
    await page.route("**/src/*.mjs", send_source)
    await page.goto(demo)
    await page.set_content('<input type="file" id="chosen">')
    return next(each for each in await apps(demo) if each["multipart"])


async def send_source(route: Route) -> None:
    name = urlsplit(route.request.url).path.rpartition("/")[2]
    await route.fulfill(path=SOURCES / name, content_type="text/javascript")


def covered_share(coverage: list[dict[str, Any]], end: str, source: Path) -> float:
    """Return the share of a script's characters that ran; an inner range overrides the one around it."""
    script = next(each for each in coverage if each["url"].endswith(end))
    ran = [True] * len(source.read_text(encoding="utf-8"))
    ranges = [each for function in script["functions"] for each in function["ranges"]]
    for each in sorted(ranges, key=lambda each: (each["startOffset"], -each["endOffset"])):
        ran[each["startOffset"] : each["endOffset"]] = [each["count"] > 0] * (each["endOffset"] - each["startOffset"])
    return sum(ran) / len(ran)
