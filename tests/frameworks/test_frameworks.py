"""The upload library in projects of Taro and uni-app: built for web pages and run in Chromium, built for WeChat and run in the simulator."""

from __future__ import annotations

import base64
import fcntl
import os
import shutil
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import Page, expect

from tests.harness.browser import chromium, new_page
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.npm import install_packages
from tests.harness.processes import ROOT, run
from tests.harness.signer import Signer, signer
from tests.miniprogram_sample.simulated import HERE as SIMULATOR
from tests.miniprogram_sample.simulated import next_report, node

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
UPLOAD = ROOT / "miniprogram" / "upload"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PHOTO = base64.b64decode(PIXEL) + os.urandom(60_000)
"""A picture, which Taro's page opens before it returns the path; decoders ignore what follows."""
COMMANDS = {
    ("uni", "web"): ("uni", "build", "-p", "h5"),
    ("uni", "wechat"): ("uni", "build", "-p", "mp-weixin"),
    ("taro", "web"): ("taro", "build", "--type", "h5", "--no-check"),
    ("taro", "wechat"): ("taro", "build", "--type", "weapp", "--no-check"),
}


async def install_library(project: Path, directory: Path) -> None:
    """Install the library's tarball in the project, as the documents describe."""
    packed = await run("npm", "pack", "--silent", "--pack-destination", directory, cwd=UPLOAD)
    assert packed.status == 0, packed.err
    installed = project / "node_modules" / "@oss-signer" / "upload"
    with (project / "package-lock.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # test files run side by side
        shutil.rmtree(installed, ignore_errors=True)
        with tarfile.open(next(directory.glob("*.tgz"))) as tarball:
            tarball.extractall(directory, filter="data")
        installed.parent.mkdir(exist_ok=True)
        shutil.copytree(directory / "package", installed)


async def build(framework: str, target: str, directory: Path) -> Path:
    """Build a project with the library, and return the directory with the result."""
    project = HERE / framework
    await install_packages(project)
    await install_library(project, directory)
    output = directory / "output"
    environ = {"OUTPUT": os.path.relpath(output, project), "UNI_OUTPUT_DIR": str(output)}
    program, *arguments = COMMANDS[framework, target]
    built = await run(project / "node_modules" / ".bin" / program, *arguments, cwd=project, environ=environ)
    assert built.status == 0, built.out + built.err
    return output


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with aiohttp.ClientSession() as session, local_cloud(session, "--bucket", "photos=cn-hangzhou") as cloud:
        yield cloud


@pytest.fixture
async def running(cloud: Cloud, tmp_path: Path) -> AsyncIterator[Signer]:
    config = tmp_path / "signer.yaml"
    config.write_text(
        f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{r: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}
apps:
  photos:
    {{bucket: photos, domain: "{cloud.oss}/photos", region: cn-hangzhou, credentials: r, key_prefix: f/, cors_origins: ["*"]}}
""",
        encoding="utf-8",
    )
    async with signer(cloud.session, config) as running:
        yield running


async def check_objects(cloud: Cloud) -> None:
    """Check that the photo and the pixel are stored, each with its name and type."""
    stored = sorted(await cloud.objects("photos"), key=lambda each: -int(each["size_bytes"]))
    assert [each["key"].rpartition("-")[2] for each in stored] == ["海边.png", "pixel.png"]
    assert [each["content_type"] for each in stored] == ["image/png", "image/png"]
    assert await cloud.content("photos", stored[0]["key"]) == PHOTO
    assert await cloud.content("photos", stored[1]["key"]) == base64.b64decode(PIXEL)


@pytest.fixture
async def site(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The address of the built web page."""
    output = await build(request.param, "web", tmp_path)
    application = web.Application()

    async def index(_: web.Request) -> web.FileResponse:
        return web.FileResponse(output / "index.html")

    application.router.add_get("/", index)
    application.router.add_static("/", output)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def upload_in_page(page: Page) -> None:
    async with page.expect_file_chooser() as chosen:
        await page.locator(".photo").click()
    await (await chosen.value).set_files({"name": "IMG_1.png", "mimeType": "image/png", "buffer": PHOTO})
    await expect(page.locator(".result")).to_contain_text("%E6%B5%B7%E8%BE%B9.png")
    await page.locator(".data").click()
    await expect(page.locator(".result")).to_contain_text("pixel.png")


@pytest.mark.parametrize("site", ["uni", "taro"], indirect=True)
async def test_the_web_page_uploads_a_photo_and_data(site: str, cloud: Cloud, running: Signer) -> None:
    port = running.public.rpartition(":")[2]
    async with (
        chromium(f"--host-resolver-rules=MAP signer.test:80 127.0.0.1:{port}") as browser,
        new_page(browser, 400, 600) as page,
    ):
        await page.goto(site)
        await upload_in_page(page)
    await check_objects(cloud)


@pytest.mark.parametrize("framework", ["uni", "taro"])
async def test_the_mini_program_uploads_a_photo_and_data(
    framework: str, cloud: Cloud, running: Signer, tmp_path: Path
) -> None:
    await install_packages(SIMULATOR)
    project = await build(framework, "wechat", tmp_path)
    files = tmp_path / "files"
    files.mkdir()
    (files / "IMG_1.png").write_bytes(PHOTO)
    parameters = {"project": str(project), "files": str(files), "signer": running.public, "photo": "IMG_1.png"}
    async with node("framework_run.cjs", parameters) as process:
        shown = [await next_report(process), await next_report(process)]
    assert all(url.startswith(f"{cloud.oss}/photos/f/") for url in shown), shown
    await check_objects(cloud)
