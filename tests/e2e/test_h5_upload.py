"""The library in web pages: two hundred files through the upload page, and every line of what a browser needs."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.test_page import landscape, png
from tests.e2e.upload_page import apps, expect_state, open_picture_app, row
from tests.harness.processes import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCES = ROOT / "miniprogram" / "oss-upload" / "src"
SCREENSHOT = ROOT / "docs" / "h5-upload.png"
FILES = 200
FILE_BYTES = 512 * 1024
"""100 MiB in all."""
LEAST_COVERAGE = 0.95
WAIT_MS = 90_000


def album(directory: Path) -> dict[str, Path]:
    """Two hundred pictures, each different; by name."""
    skies = [
        png(64, 48, landscape((90 + 12 * n, 140, 220 - 10 * n), (250, 220, 190), (30 + 5 * n, 70, 60), (n / 10, 0.3)))
        for n in range(10)
    ]
    files = {}
    for number in range(FILES):
        path = directory / f"west-lake-{number:03}.png"
        picture = skies[number % len(skies)]
        # What comes after the end of a PNG is looked at by nobody.
        path.write_bytes(picture + os.urandom(FILE_BYTES - len(picture)))
        files[path.name] = path
    return files


WATCH = """() => {
  window.wentBack = [];
  const last = new Map();
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      const [before, now] = [last.get(target) ?? 0, target.value];
      // A new try begins at 0, and after the end of one album the next begins; nothing else may be less than before.
      const again = target.closest("#files") ? now === 0 : before === 100;
      if (now < before && !again) window.wentBack.push([target.ariaLabel, before, now]);
      last.set(target, now);
    }
  }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["value"] });
}"""


async def set_faults(page: Page, oss: str, faults: dict[str, Any]) -> None:
    async with aiohttp.ClientSession() as session, session.put(f"{oss}/-/faults?seed=7", json=faults) as response:
        assert response.status == 200, await response.text()


async def test_two_hundred_files_arrive_exactly_once(page: Page, demo: str, tmp_path: Path) -> None:
    app = await open_picture_app(page, demo)
    files = album(tmp_path)
    oss = await local_oss(page)
    await page.evaluate(WATCH)
    # Some connections break, some responses are lost, OSS is busy at times.
    await set_faults(
        page,
        oss,
        {
            "oss": [
                {"kind": "reset", "probability": 0.02},
                {"kind": "truncated", "probability": 0.02},
                {"kind": "throttling", "probability": 0.03},
            ]
        },
    )
    await page.set_input_files("#file", list(files.values()))
    await expect(page.locator("#files > li")).to_have_count(FILES)
    done = page.locator("#files [data-state=done]")
    await page.wait_for_function(
        "() => document.querySelectorAll('#files [data-state=done]').length >= 60", timeout=WAIT_MS
    )

    await page.get_by_role("button", name="Cancel all").click()
    await expect(page.locator("#files :is([data-state=waiting], [data-state=uploading])")).to_have_count(0)
    cancelled = await page.locator("#files [data-state=cancelled]").count()
    assert cancelled + await done.count() == FILES
    assert cancelled > 50
    await page.get_by_role("button", name="Retry all").click()

    last = row(page, f"west-lake-{FILES - 1:03}.png")
    await last.get_by_role("button", name=re.compile("^Cancel ")).press("Enter")
    await expect_state(last, "cancelled")
    if os.environ.get("UPDATE_SCREENSHOTS") == "1":
        await take_screenshot(page)
    await last.get_by_role("button", name=re.compile("^Retry ")).press("Enter")
    await page.wait_for_function(
        "() => document.querySelectorAll('#files :is([data-state=waiting], [data-state=uploading])').length === 0",
        timeout=WAIT_MS,
    )
    await set_faults(page, oss, {})
    if await page.locator("#files [data-state=failed]").count():
        await page.get_by_role("button", name="Retry all").click()
    await expect(done).to_have_count(FILES, timeout=WAIT_MS)
    assert await page.locator("#total-bar").evaluate("bar => bar.value") == 100
    assert await page.evaluate("window.wentBack") == []

    await expect(page.locator("#arrived > li")).to_have_count(60)
    await expect(page.locator("#arrived-count")).to_have_text(re.compile(rf"^{FILES} files"))
    await expect(page.locator("#arrived img").first).to_be_visible()
    assert await contents(demo, app["id"]) == {name: [digest(path.read_bytes())] for name, path in files.items()}


async def local_oss(page: Page) -> str:
    """The local cloud's address: where the page's forms lead to."""
    async with aiohttp.ClientSession() as session:
        app = await page.locator("#app").input_value()
        async with session.post(
            f"{urlsplit(page.url)._replace(path='', query='').geturl()}/v1/apps/{app}/uploads"
        ) as response:
            url = urlsplit((await response.json())["url"])
    return f"{url.scheme}://{url.netloc}"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def contents(demo: str, app: str) -> dict[str, list[str]]:
    """What lies in the bucket: the digests of all objects that end in a file's name, by that name."""
    found: dict[str, list[str]] = {}
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{demo.rstrip('/')}/demo/objects", params={"app": app}) as response:
            objects = await response.json()
        for each in objects:
            async with session.get(each["url"]) as response:
                name = each["key"].rpartition("/")[2].partition("-")[2]
                found.setdefault(name, []).append(digest(await response.read()))
    return found


async def take_screenshot(page: Page) -> None:
    """With slow uploads, so that there is something to see."""
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1}
    session = await page.context.new_cdp_session(page)
    await session.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": 150_000})
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    await page.set_viewport_size({"width": 1200, "height": 1180})
    await page.wait_for_function(
        "() => document.querySelectorAll('#arrived > li:nth-child(-n+15) img').length === 15"
        " && [...document.querySelectorAll('#files [data-state=uploading] progress')].some((bar) => bar.value > 40)",
        timeout=WAIT_MS,
    )
    first = page.locator("#files [data-state=uploading]").first
    await first.evaluate("row => row.parentElement.scrollTop = row.offsetTop - row.parentElement.offsetTop - 90")
    await page.evaluate("window.scrollTo(0, 0)")
    await page.mouse.move(0, 0)
    await page.screenshot(path=SCREENSHOT, animations="disabled")
    await session.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": -1})


UPLOAD_ALL = """async ({ endpoint, appId }) => {
  const { createUploader, createCancel } = await import("/src/h5.mjs");
  const asked = [];
  const headers = (refused) => { asked.push(!!refused); return { "X-Caller": "nobody" }; };
  const uploader = createUploader({ endpoint, appId, headers, retryDelayMs: 5, retries: 2 });
  const file = new File(["in a file"], "a note.txt", { type: "text/plain" });
  const outcome = (promise) => promise.then((result) => result, (error) => ({ code: error.code, key: error.key }));
  const progress = [];
  const one = await outcome(uploader.upload(file, { onProgress: ({ percent }) => progress.push(percent) }));
  const nameless = await outcome(uploader.upload(new Blob(["in a blob"])));
  const named = await outcome(uploader.upload(new Blob(["x"], { type: "image/gif" }), { filename: "b.gif" }));
  const cancel = createCancel();
  const onState = (state) => state === "uploading" && setTimeout(cancel.abort);
  window.hold = true;
  const cancelled = await outcome(uploader.upload(file, { signal: cancel.signal, onState }));
  const controller = new AbortController();
  controller.abort();
  const never = await outcome(uploader.upload(file, { signal: controller.signal }));
  const slow = createUploader({ endpoint, appId, timeoutMs: 50, retries: 0 });
  const late = await outcome(slow.upload(file));
  return { one, nameless, named, cancelled, never, late, progress, asked };
}"""


async def test_every_line_that_a_browser_needs_runs(page: Page, demo: str) -> None:
    app = next(each for each in await apps(demo) if each["enabled"] and not each["content_types"])
    seen: Counter[str] = Counter()
    held: list[asyncio.Event] = []

    async def source(route: Route) -> None:
        name = urlsplit(route.request.url).path.rpartition("/")[2]
        await route.fulfill(path=SOURCES / name, content_type="text/javascript")

    async def disturb(route: Route) -> None:
        request = route.request
        if request.method != "POST":
            return await route.continue_()
        seen[request.url] += 1
        if seen[request.url] == 1:
            return await route.abort("connectionreset")
        if await page.evaluate("window.hold === true"):
            held.append(asyncio.Event())
            await held[-1].wait()
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
    for each in held:
        each.set()

    assert result["cancelled"]["code"] == result["never"]["code"] == "cancelled"
    assert result["late"]["code"] == "timeout"
    assert result["asked"] == [False] * len(result["asked"])
    assert result["progress"] == sorted(result["progress"])
    assert result["progress"][-1] == 100
    prefix = re.escape(app["key_prefix"].replace("{yyyy}", "YYYY").replace("{mm}", "MM"))
    pattern = prefix.replace("YYYY", r"\d{4}").replace("MM", r"\d\d") + r"\w{15,}"
    for name, end, content in (
        ("one", "-a_note\\.txt", b"in a file"),
        ("nameless", "", b"in a blob"),
        ("named", "-b\\.gif", b"x"),
    ):
        upload = result[name]
        assert re.fullmatch(pattern + end, upload["key"]), upload
        assert len(upload["etag"]) == 32
        async with aiohttp.ClientSession() as http, http.get(upload["url"]) as response:
            assert await response.read() == content
    share = covered(coverage, "/src/h5.mjs", SOURCES / "h5.mjs")
    print(f"coverage of h5.mjs: {share:.1%}")
    assert share > LEAST_COVERAGE


def covered(coverage: list[dict[str, Any]], end: str, source: Path) -> float:
    """The share of a script's characters that ran; an inner range overrides the one around it."""
    script = next(each for each in coverage if each["url"].endswith(end))
    ran = [True] * len(source.read_text(encoding="utf-8"))
    ranges = [each for function in script["functions"] for each in function["ranges"]]
    for each in sorted(ranges, key=lambda each: (each["startOffset"], -each["endOffset"])):
        ran[each["startOffset"] : each["endOffset"]] = [each["count"] > 0] * (each["endOffset"] - each["startOffset"])
    return sum(ran) / len(ran)
