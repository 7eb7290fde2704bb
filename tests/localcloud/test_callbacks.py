"""The callbacks that the local cloud makes.

See: https://help.aliyun.com/zh/oss/developer-reference/callback
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import MD5
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.callers.stub import body, document, redirect, stub
from tests.e2e.callbacks.callback_signer import BODY, Uploaded
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.localcloud.forms import signed_form

ALL = (
    "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&height=${imageInfo.height}"
    "&width=${imageInfo.width}&format=${imageInfo.format}&mine=${x:mine}&unset=${x:unset}&fixed=1"
)
OK = document({"ok": 1})


def callback_field(url: str, body: str = BODY, body_type: str | None = None, host: str | None = None) -> str:
    document = {"callbackUrl": url, "callbackBody": body, "callbackBodyType": body_type, "callbackHost": host}
    text = json.dumps({name: value for name, value in document.items() if value is not None}, ensure_ascii=False)
    return base64.b64encode(text.encode()).decode()


async def upload(
    cloud: Cloud, key: str, callback: str, *, content: bytes = b"hello", bucket: str = "photos", **fields: str
) -> Uploaded:
    """Upload with a form that has this callback. `x_name` is sent as `x:name`."""
    named = {name.replace("x_", "x:", 1): value for name, value in fields.items()}
    form = signed_form(conditions=[["eq", "$callback", callback]], fields={"key": key, "callback": callback, **named})
    return Uploaded(*await post_object(cloud.session, f"{cloud.oss}/{bucket}", form, content))


@pytest.fixture
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    async with local_cloud(session, "--bucket", "photos=cn-hangzhou", "--callback-seconds", "0.5") as running:
        yield running


class Recorder:
    """Records the requests that it gets."""

    def __init__(self) -> None:
        self.requests: list[tuple[web.Request, bytes]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request, await request.read()))
        return await OK(request)


def png(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))


def jpeg(width: int, height: int) -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", 5002) + b"\xff\xc0" * 2500
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + exif + b"\xff" + frame + b"\xff\xd9"


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0"


PICTURES = [
    (png(640, 480), "480", "640", "png"),
    (jpeg(640, 480), "480", "640", "jpg"),
    (gif(640, 480), "480", "640", "gif"),
    (b"hello", "", "", ""),
    (jpeg(640, 480)[:3000], "", "", ""),
    (b"\xff\xd8" + b"\xff" * 5000, "", "", ""),
    (png(1, 1)[:18], "", "", ""),
]


async def test_variables_are_replaced(cloud: Cloud) -> None:
    recorder = Recorder()
    async with stub(recorder) as server:
        callback = callback_field(server.url + "/x", ALL)
        for content, height, width, picture in PICTURES:
            answer = await upload(cloud, "照 &=+%.jpg", callback, content=content, x_mine="a&b=ü")
            assert (answer.status, answer.json) == (200, {"ok": 1})
            request, data = recorder.requests.pop()
            assert request.content_type == "application/x-www-form-urlencoded"
            assert {name: value for name, [value] in parse_qs(data.decode(), keep_blank_values=True).items()} == {
                "bucket": "photos",
                "object": "照 &=+%.jpg",
                "etag": answer.headers["ETag"].strip('"'),
                "size": str(len(content)),
                "mimeType": "application/octet-stream",
                "height": height,
                "width": width,
                "format": picture,
                "mine": "a&b=ü",
                "unset": "",
                "fixed": "1",
            }


async def test_json_body_is_json(cloud: Cloud) -> None:
    recorder = Recorder()
    template = '{"b": ${bucket}, "o": ${object}, "s": ${size}, "h": ${imageInfo.height}, "m": ${x:mine}}'
    async with stub(recorder) as server:
        callback = callback_field(server.url, template, "application/json")
        answer = await upload(cloud, 'a"b.jpg', callback, x_mine='"},{')
    assert answer.status == 200, answer.text
    [(request, data)] = recorder.requests
    assert request.content_type == "application/json"
    assert json.loads(data) == {"b": "photos", "o": 'a"b.jpg', "s": 5, "h": "", "m": '"},{'}


async def test_callback_is_signed_with_path_query_and_body(cloud: Cloud) -> None:
    recorder = Recorder()
    async with stub(recorder) as server:
        url = server.url.removeprefix("http://") + "/a%20b/%E7%85%A7?id=1&x=%41"
        answer = await upload(cloud, "a", callback_field(url, "b=${bucket}", host="api.example.com"))
    assert answer.status == 200, answer.text
    [(request, data)] = recorder.requests
    assert request.headers["Host"] == "api.example.com"
    key_url = base64.b64decode(request.headers["x-oss-pub-key-url"]).decode()
    assert key_url.startswith(cloud.oss)
    async with cloud.session.get(key_url) as published:
        key = load_pem_public_key(await published.read())
    assert isinstance(key, RSAPublicKey)
    signed = "/a b/照?id=1&x=%41\n".encode() + data
    key.verify(base64.b64decode(request.headers["Authorization"]), signed, PKCS1v15(), MD5())


async def no_length(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"a": 1}')
    return response


async def never(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def dropped(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


FAILURES: list[tuple[Any, str]] = [
    (body(b"{}", 400), "Error status : 400."),
    (body(b"{}", 201), "Error status : 201."),
    (body(b"", 204), "Error status : 204."),
    (redirect("/x"), "Error status : 302."),
    (body(b"OK"), "Response body is not valid json format."),
    (body(b"\xef\xbb\xbf{}"), "Response body is not valid json format."),
    (body(b""), "Response body is not valid json format."),
    (no_length, "User server return too long content-length value."),
    (body(b'"' + b"a" * 2**20 + b'"'), "too long content-length value."),
    (never, "reply timeout, cost: 50"),
    (dropped, "OSS can not connect to your callbackUrl, please check it."),
]


async def test_other_responses_are_a_203_and_the_object_stays(cloud: Cloud) -> None:
    async with stub() as server:
        callback = callback_field(server.url)
        for number, (answer, message) in enumerate(FAILURES):
            server.answer = answer
            given = await upload(cloud, f"{number}.jpg", callback)
            assert (given.status, message in given.text) == (203, True), given
            assert "<Code>CallbackFailed</Code>" in given.text
            assert await cloud.content("photos", f"{number}.jpg") == b"hello"
        assert server.requests == len(FAILURES)


async def test_up_to_five_urls_are_tried_in_order(cloud: Cloud) -> None:
    recorder = Recorder()
    async with stub(body(b"", 500)) as bad, stub(recorder) as good, stub(recorder) as unused:
        urls = ["http://127.0.0.1:1/x", bad.url, good.url, unused.url]
        assert (await upload(cloud, "a.jpg", callback_field(";".join(urls)))).status == 200
        assert (bad.requests, good.requests, unused.requests) == (1, 1, 0)
        assert (await upload(cloud, "a.jpg", callback_field(";".join([bad.url] * 5)))).status == 203
        assert bad.requests == 6


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SITE = "a.example.com"
BAD_CALLBACKS = [
    ("x123-*&", "The callback configuration is not base64 encoded."),
    (encoded("error argument"), "The callback configuration is not json format."),
    (
        encoded('{"callbackUrl": "8.8.8.8", "callbackBody": "{"a":1}"}'),
        "The callback configuration is not json format.",
    ),
    (encoded("[]"), "The callback configuration is not json format."),
    (encoded('{"callbackBody": "a"}'), "The callback url configuration is invalid."),
    (callback_field("www.example.com:test"), "The callback url configuration is invalid."),
    (callback_field("http://example.com/中文"), "The callback url configuration is invalid."),
    (callback_field("http://example.com:65536/"), "The callback url configuration is invalid."),
    (
        encoded('{"callbackUrl": "example.com", "callbackBody": "a", "callbackSNI": "yes"}'),
        "The callbackSNI configuration is invalid.",
    ),
    (callback_field(";".join([SITE] * 6)), "The number of callback url exceed max value."),
    (callback_field(SITE, ""), "The callback body is empty."),
    (callback_field(SITE, "a", "text/xml"), "The body type of callback is not supported."),
    (callback_field(SITE, "a", host="a b"), "The callback host configuration is invalid."),
    (callback_field(SITE, "a=${bucket}", "application/json"), "The callback configuration is not json format."),
    (callback_field(SITE, "a" * 5000), "The length of callback exceed max value."),
]


async def test_invalid_configuration_is_rejected_and_nothing_is_stored(cloud: Cloud) -> None:
    for callback, message in BAD_CALLBACKS:
        answer = await upload(cloud, "a.jpg", callback)
        assert (answer.status, f"<Message>{message}</Message>" in answer.text) == (400, True), answer.text
        assert "<ArgumentName>callback</ArgumentName>" in answer.text
    assert await cloud.objects("photos") == []


async def test_callback_with_a_condition_cannot_be_changed(cloud: Cloud) -> None:
    pinned, other = callback_field("a.example.com"), callback_field("b.example.com")
    form = signed_form(conditions=[["eq", "$callback", pinned]], fields={"callback": other})
    status, text, _ = await post_object(cloud.session, f"{cloud.oss}/photos", form, b"x")
    assert (status, "Policy Condition failed" in text) == (403, True)
    del form["callback"]
    status, text, _ = await post_object(cloud.session, f"{cloud.oss}/photos", form, b"x")
    assert (status, "Policy Condition failed" in text) == (403, True)
