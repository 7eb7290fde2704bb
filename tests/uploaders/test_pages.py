"""Each upload component of docs/uploaders.md in Chromium, as its user sees it."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Dialog, Page, Request, expect

from tests.callers.signing_keys import signed
from tests.callers.stub import Answer, body, stub
from tests.harness.browser import chromium, new_page
from tests.harness.waiting import wait_until
from tests.uploaders.pages import COMPONENTS, Component, build_pages, build_site, cors_rule
from tests.uploaders.place import BUCKET, JWT_SECRET, STALLED_BUCKET, Place, uploading_place
from tests.uploaders.recipes import for_app
from tests.uploaders.table import npm_version, passed

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

NAME = "照片 é😀 +50%&;=,'.jpg"
NAME_BY_LIBRARY = "照片_é____50______.jpg"
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""An image, as Taro uploads nothing else; what follows it does not matter."""
CONTENT = PIXEL + Random(21).randbytes(2**20)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with uploading_place(tmp_path_factory.mktemp("signer")) as place:
        await place.set_cors(cors_rule(1))
        yield place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pages")
    await build_pages(directory)
    for each in COMPONENTS:
        if each.page:
            await build_site(each, directory)
    return directory


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(params=COMPONENTS, ids=lambda component: component.title)
def component(request: pytest.FixtureRequest) -> Component:
    found: Component = request.param
    return found


@contextlib.asynccontextmanager
async def opened(browser: Browser, pages: Path, component: Component, app: str) -> AsyncIterator[Page]:
    """Open the component's page for the app at this URL, with a login that the signer accepts."""
    document = f"<!doctype html><meta charset=utf-8><title>{component.title}</title>{component.html}"
    token = signed(JWT_SECRET, "HS256", exp=2**33)
    async with (
        stub(site(pages / component.name / "dist", app) if component.page else html(document.encode())) as server,
        new_page(browser, 900, 900) as page,
    ):

        async def accept(dialog: Dialog) -> None:
            await dialog.accept()

        page.on("dialog", accept)
        # Taro and uni-app store JSON.
        stored = json.dumps({"type": "string", "data": token}) if component.page else token
        await page.add_init_script(f"localStorage.setItem('token', {json.dumps(stored)})")
        await page.goto(server.url)
        if not component.page:
            if (style := pages / f"{component.name}.entry.css").exists():
                await page.add_style_tag(path=style)
            script = (pages / f"{component.name}.entry.js").read_text("utf-8")
            await page.add_script_tag(content=for_app(script, app))
        yield page


def html(document: bytes) -> Answer:
    return body(document, headers={"Content-Type": "text/html"})


def site(directory: Path, app: str) -> Answer:
    """Serve a built site whose scripts use the app at this URL."""

    async def answer(request: web.Request) -> web.StreamResponse:
        file = directory / (request.path.strip("/") or "index.html")
        if not file.is_file():
            return web.Response(status=404)
        if file.suffix != ".js":
            return web.FileResponse(file)
        return web.Response(text=for_app(file.read_text("utf-8"), app), content_type="text/javascript")

    return answer


async def choose(page: Page, component: Component, *files: Path) -> None:
    """Choose files, as the dialog of the browser does."""
    if not component.page:
        await page.locator("input[type=file]").first.set_input_files(files)
        return
    async with page.expect_file_chooser() as chooser:
        await page.get_by_text("Upload", exact=True).last.click()
    await (await chooser.value).set_files(files)


async def keys(place: Place) -> set[str]:
    return {str(each["key"]) for each in await place.cloud.objects(BUCKET)}


async def test_files(place: Place, pages: Path, browser: Browser, component: Component, tmp_path: Path) -> None:
    before = await keys(place)
    (file := tmp_path / NAME).write_bytes(CONTENT)
    contents = {f"{number} 照片.jpg": PIXEL + f"content {number}".encode() for number in range(20)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    async with opened(browser, pages, component, place.app("photos")) as page:
        await choose(page, component, file)
        await expect(page.locator(component.done)).to_have_count(1)
        [key] = await keys(place) - before
        assert key.endswith(f"-{NAME_BY_LIBRARY if component.uses_library else NAME}")
        assert await place.cloud.content(BUCKET, key) == CONTENT
    async with opened(browser, pages, component, place.app("photos")) as page:
        await choose(page, component, *(tmp_path / name for name in contents))
        await expect(page.locator(component.done)).to_have_count(20)
        stored = await keys(place) - before - {key}
        assert len(stored) == 20
        for each in stored:
            assert await place.cloud.content(BUCKET, each) == contents[each.partition("-")[2].replace("_", " ")]
    passed(component.title, npm_version(component.package, component.packages), "1 file", "20 files", "Unicode names")


async def test_progress_and_cancel(
    place: Place, pages: Path, browser: Browser, component: Component, tmp_path: Path
) -> None:
    (file := tmp_path / "large.jpg").write_bytes(PIXEL + bytes(12 * 2**20))
    ended: list[Request] = []
    async with opened(browser, pages, component, place.app("stalled")) as page:
        page.on("requestfailed", lambda request: ended.append(request))
        await choose(page, component, file)
        await page.wait_for_function(f"() => {{ try {{ return +{component.percent} > 0 }} catch {{ return false }} }}")
        assert float(await page.evaluate(component.percent)) < 100
        await page.locator(component.cancel).first.dispatch_event("click")  # some are there only under a pointer
        await wait_until(lambda: any(each.url.startswith(place.network.url) for each in ended))
        assert await page.locator(component.done).count() == 0
    assert await place.stored(STALLED_BUCKET) == {}
    passed(component.title, npm_version(component.package, component.packages), "progress", "cancel")


@pytest.mark.parametrize("by", ["signer", "OSS"])
async def test_refusals(
    place: Place, pages: Path, browser: Browser, component: Component, by: str, tmp_path: Path
) -> None:
    (file := tmp_path / ("program.exe" if by == "signer" else "photo.jpg")).write_bytes(PIXEL)
    app = place.app("photos" if by == "signer" else "refused")
    async with opened(browser, pages, component, app) as page:
        await choose(page, component, file)
        if component.failed:
            await page.locator(component.failed).first.hover()
        reason, error = component.refusals[by == "OSS"], page.locator(component.error).first
        if component.error_attribute:
            await expect(error).to_have_attribute(component.error_attribute, re.compile(reason))
        else:
            await expect(error).to_contain_text(reason)
    passed(component.title, npm_version(component.package, component.packages), "refusal")
