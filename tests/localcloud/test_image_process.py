"""x-oss-process: resizing and converting images."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import aiohttp
import alibabacloud_oss_v2 as oss
import pytest
from alibabacloud_oss_v2.aio import AsyncClient
from PIL import Image

from tests.harness.local_cloud import Cloud, local_cloud
from tests.localcloud.presigned import presigned


def picture(size: tuple[int, int], file_format: str = "PNG", mode: str = "RGB", color: str = "red") -> bytes:
    output = io.BytesIO()
    Image.new(mode, size, color).save(output, file_format)
    return output.getvalue()


async def get(cloud: Cloud, session: aiohttp.ClientSession, process: str, key: str = "a") -> tuple[int, bytes, str]:
    url = presigned(cloud.oss, "GET", key, {"x-oss-process": process}, {})
    async with session.get(url) as answer:
        return answer.status, await answer.read(), answer.headers["Content-Type"]


@pytest.mark.parametrize(
    ("action", "size"),
    [
        # The examples of the documentation: 200 x 100 in a box of 150 x 80.
        ("resize,w_150,h_80", (150, 75)),
        ("resize,m_lfit,w_150,h_80", (150, 75)),
        ("resize,m_mfit,w_150,h_80", (160, 80)),
        ("resize,m_fill,w_150,h_80", (150, 80)),
        ("resize,m_pad,w_150,h_80,color_00FF00", (150, 80)),
        ("resize,m_fixed,w_150,h_80", (150, 80)),
        ("resize,w_50", (50, 25)),
        ("resize,h_50", (100, 50)),
        ("resize,l_100", (100, 50)),
        ("resize,s_10", (20, 10)),
        ("resize,p_50", (100, 50)),
        ("resize,w_400", (200, 100)),
        ("resize,w_400,limit_0", (400, 200)),
        ("resize,w_100/resize,w_50", (50, 25)),
        ("resize,w_1", (1, 1)),
    ],
)
async def test_sizes(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession, action: str, size: tuple[int, int]
) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="a", body=picture((200, 100))))
    status, content, content_type = await get(cloud, session, f"image/{action}")
    assert (status, content_type) == (200, "image/png"), content
    with Image.open(io.BytesIO(content)) as found:
        assert (found.size, found.format) == (size, "PNG")
        if "pad" in action:
            assert found.convert("RGB").getpixel((0, 0)) == (0, 255, 0)


@pytest.mark.parametrize("target", ["jpg", "png", "webp", "bmp", "gif", "tiff"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L"])
async def test_formats(cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession, target: str, mode: str) -> None:
    color = "white" if mode in ("L", "P") else "red"
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="a", body=picture((20, 10), "PNG", mode, color)))
    status, content, content_type = await get(cloud, session, f"image/resize,w_10/format,{target}")
    assert status == 200, content
    with Image.open(io.BytesIO(content)) as found:
        assert found.size == (10, 5)
        assert content_type == Image.MIME[str(found.format)]


@pytest.mark.parametrize(
    ("process", "status", "text"),
    [
        ("image/resize,m_abc,w_1", 400, "0040-00000311"),
        ("image/resize,w_0", 400, "InvalidArgument"),
        ("image/resize,w_16385", 400, "InvalidArgument"),
        ("image/resize,w_x", 400, "InvalidArgument"),
        ("image/resize,q_1,w_1", 400, "InvalidArgument"),
        ("image/resize", 400, "MissingArgument"),
        ("image" + "/resize,p_1000,limit_0" * 4, 400, "ImageTooLarge"),
        ("image/format,exe", 400, "InvalidArgument"),
        ("image/format,avif", 501, "NotImplemented"),
        ("image/resize,m_fill,w_1", 501, "NotImplemented"),
        ("image/watermark,text_eA", 501, "watermark"),
        ("image/info", 501, "NotImplemented"),
        ("style/small", 501, "NotImplemented"),
        ("image", 501, "NotImplemented"),
        ("", 501, "NotImplemented"),
    ],
)
async def test_what_is_wrong_or_not_implemented_is_refused(
    cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession, process: str, status: int, text: str
) -> None:
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="a", body=picture((20, 10))))
    found = await get(cloud, session, process)
    assert (found[0], text in found[1].decode()) == (status, True)


async def test_only_images_are_processed(cloud: Cloud, sdk: AsyncClient, session: aiohttp.ClientSession) -> None:
    for key, body in (("text", b"hello"), ("half", picture((200, 100), "JPEG")[:300]), ("empty", b"")):
        await sdk.put_object(oss.PutObjectRequest(bucket="photos", key=key, body=body))
        status, content, _ = await get(cloud, session, "image/resize,w_10", key)
        assert (status, b"not supported" in content) == (400, True), key
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    output = io.BytesIO()
    frames[0].save(output, "GIF", save_all=True, append_images=frames[1:])
    await sdk.put_object(oss.PutObjectRequest(bucket="photos", key="moving", body=output.getvalue()))
    assert (await get(cloud, session, "image/resize,w_2", "moving"))[0] == 501


async def test_without_pillow_it_is_not_implemented(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    # A module of this name that cannot be imported is found before Pillow.
    (tmp_path / "PIL.py").write_text("raise ImportError\n")
    environ = {"PYTHONPATH": f"{tmp_path}:{':'.join(path for path in sys.path if path)}"}
    async with local_cloud(session, "--bucket", "photos=cn-hangzhou", environ=environ) as cloud:
        url = presigned(cloud.oss, "PUT", "a", {}, {})
        async with session.put(url, data=picture((20, 10)), skip_auto_headers=["Content-Type"]) as answer:
            assert answer.status == 200
        status, content, _ = await get(cloud, session, "image/resize,w_10")
        assert (status, b"Pillow" in content) == (501, True)
