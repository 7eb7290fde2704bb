"""Writes the pictures of docs/ of the sample's page when UPDATE_SCREENSHOTS is 1."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import aiohttp
import pytest

from tests.e2e.pages.pictures import Pixel, landscape, png
from tests.harness.browser import chromium
from tests.harness.local_cloud import local_cloud
from tests.harness.npm import install_packages
from tests.harness.processes import ROOT
from tests.harness.signer import signer
from tests.miniprogram_sample.simulated import HERE, next_report, node, project

ENDPOINT = "http://127.0.0.1:1"
PICTURES: dict[str, tuple[Pixel, Pixel, Pixel, tuple[float, float]]] = {
    "harbour.png": ((96, 120, 178), (250, 200, 170), (38, 52, 84), (0.70, 0.34)),
    "terraces.png": ((150, 205, 225), (236, 246, 226), (28, 92, 66), (0.24, 0.22)),
    "cliffs.png": ((240, 150, 96), (253, 222, 160), (122, 42, 38), (0.40, 0.42)),
    "thumb.png": ((70, 130, 180), (205, 228, 238), (24, 66, 92), (0.55, 0.20)),
}
IMAGES = [name for name in PICTURES if name != "thumb.png"]
SIZES = {"会议纪要.docx": 180_000, "设计图.zip": 8_600_000, "合同.pdf": 5_400_000, "clip.mp4": 19_300_000}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.mark.skipif(os.environ.get("UPDATE_SCREENSHOTS") != "1", reason="UPDATE_SCREENSHOTS=1 writes the pictures")
async def test_screenshots(tmp_path: Path) -> None:
    await install_packages(HERE)
    files = tmp_path / "files"
    files.mkdir()
    for name, colours in PICTURES.items():
        (files / name).write_bytes(png(240, 240, landscape(*colours)))
    for name, size in SIZES.items():
        (files / name).write_bytes(os.urandom(size))
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        await cloud.create_bucket("photos")
        config = tmp_path / "signer.yaml"
        config.write_text(
            f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{instance: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}
defaults: {{region: cn-hangzhou, credentials: instance}}
apps:
  photos: {{bucket: photos, domain: "{cloud.oss}/photos", key_prefix: "photos/{{yyyy}}/{{mm}}/", max_size: 50MiB}}
""",
            encoding="utf-8",
        )
        async with signer(session, config) as running:
            parameters = {
                "project": str(project(tmp_path, {"endpoint": ENDPOINT, "appId": "photos"})),
                "files": str(files),
                "endpoint": ENDPOINT,
                "signer": running.public,
                "oss": cloud.oss,
                "images": IMAGES,
                "documents": ["会议纪要.docx", "设计图.zip", "合同.pdf"],
                "videos": ["clip.mp4"],
            }
            async with node("picture_run.cjs", parameters) as run:
                drawn = dict(zip(SCHEMES, [await next_report(run), await next_report(run)], strict=True))
    async with chromium() as browser:
        page = await browser.new_page(viewport={"width": 375, "height": 720}, device_scale_factor=2)
        for scheme, html in drawn.items():
            await page.emulate_media(color_scheme=scheme)
            await page.set_content(html)
            await page.screenshot(path=ROOT / "docs" / f"miniprogram-{scheme}.png")
