"""Every line of the library that a browser needs, with coverage as Chromium measures it."""

from __future__ import annotations

import asyncio
import base64
import re
from collections import Counter
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

    async def source(route: Route) -> None:
        name = urlsplit(route.request.url).path.rpartition("/")[2]
        await route.fulfill(path=SOURCES / name, content_type="text/javascript")

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

    await page.route("**/src/*.mjs", source)
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


def covered_share(coverage: list[dict[str, Any]], end: str, source: Path) -> float:
    """Return the share of a script's characters that ran; an inner range overrides the one around it."""
    script = next(each for each in coverage if each["url"].endswith(end))
    ran = [True] * len(source.read_text(encoding="utf-8"))
    ranges = [each for function in script["functions"] for each in function["ranges"]]
    for each in sorted(ranges, key=lambda each: (each["startOffset"], -each["endOffset"])):
        ran[each["startOffset"] : each["endOffset"]] = [each["count"] > 0] * (each["endOffset"] - each["startOffset"])
    return sum(ran) / len(ran)
