"""Numbers, dates, texts and bodies that only an attacker or a broken client sends: refused, and never a 500."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from tests.harness.local_cloud import Cloud
from tests.localcloud.presigned import presigned

MANY_DIGITS = "9" * 5000
ABOVE_AFTER_ZEROS = "00001000000"
NO_DATES = ("Fri, 31 Dec 9999 23:59:59 -2300", "1 Jan 2020 00:00:00 +99999999999999")
DEEP_JSON = b"[" * 100_000


def v4_url(address: str, **changes: str) -> URL:
    parameters = {
        "x-oss-signature-version": "OSS4-HMAC-SHA256",
        "x-oss-credential": "LTAI-local/20240101/cn-hangzhou/oss/aliyun_v4_request",
        "x-oss-date": "20240101T000000Z",
        "x-oss-expires": "60",
        "x-oss-signature": "x",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
    return URL(f"{address}/photos/a.txt?{query}", encoded=True)


async def outcome(
    session: aiohttp.ClientSession, method: str, url: URL | str, headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    async with session.request(method, url, headers=headers, skip_auto_headers=["Content-Type"]) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    ("method", "key", "query", "status", "code"),
    [
        ("GET", "", {"max-keys": ABOVE_AFTER_ZEROS}, 400, "InvalidArgument"),
        ("GET", "", {"max-keys": MANY_DIGITS}, 400, "InvalidArgument"),
        ("GET", "", {"max-keys": "\u0663"}, 400, "InvalidArgument"),
        ("GET", "", {"list-type": "2", "continuation-token": "@@@"}, 400, "InvalidArgument"),
        ("GET", "", {"uploads": "", "max-uploads": ABOVE_AFTER_ZEROS}, 400, "InvalidArgument"),
        ("PUT", "a", {"partNumber": "000001000000", "uploadId": "x"}, 400, "InvalidArgument"),
        ("GET", "a", {"uploadId": "x", "part-number-marker": MANY_DIGITS}, 400, "InvalidArgument"),
        ("POST", "a", {"append": "", "position": "0" * 30 + "5"}, 409, "PositionNotEqualToLength"),
        ("POST", "a", {"append": "", "position": MANY_DIGITS}, 400, "MissingArgument"),
        ("GET", "a.txt", {"response-content-type": "a\r\nx-evil: 1"}, 400, "InvalidArgument"),
        ("GET", "a.txt", {"response-expires": "a\x00"}, 400, "InvalidArgument"),
    ],
)
async def test_a_query(
    cloud: Cloud,
    session: aiohttp.ClientSession,
    method: str,
    key: str,
    query: dict[str, str],
    status: int,
    code: str,
) -> None:
    put = presigned(cloud.oss, "PUT", "a.txt", {}, {})
    assert (await outcome(session, "PUT", put))[0] == 200
    found, text = await outcome(session, method, presigned(cloud.oss, method, key, query, {}))
    assert (found, f"<Code>{code}</Code>" in text) == (status, True), text


@pytest.mark.parametrize(
    "body",
    ["<Tagging/>", "<Tagging><TagSet><Unknown/></TagSet></Tagging>", "<Tagging><TagSet>" + "<Tag>" * 50_000],
)
async def test_tags(cloud: Cloud, session: aiohttp.ClientSession, body: str) -> None:
    assert (await outcome(session, "PUT", presigned(cloud.oss, "PUT", "a.txt", {}, {})))[0] == 200
    url = presigned(cloud.oss, "PUT", "a.txt", {"tagging": ""}, {})
    async with session.put(url, data=body, skip_auto_headers=["Content-Type"]) as answer:
        assert answer.status == 400, await answer.text()


async def test_dates(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    assert (await outcome(session, "PUT", presigned(cloud.oss, "PUT", "a.txt", {}, {})))[0] == 200
    v4 = {
        "Authorization": "OSS4-HMAC-SHA256 Credential=LTAI-local/20240101/cn-hangzhou/oss/aliyun_v4_request,Signature=x",
        "x-oss-content-sha256": "UNSIGNED-PAYLOAD",
    }
    for date in NO_DATES:
        for name in ("If-Modified-Since", "If-Unmodified-Since"):
            found = await outcome(session, "GET", presigned(cloud.oss, "GET", "a.txt", {}, {}), {name: date})
            assert found[0] == 200
        for headers in ({"Authorization": "OSS LTAI-local:x"}, v4):
            status, text = await outcome(session, "GET", f"{cloud.oss}/photos/a.txt", {**headers, "Date": date})
            assert (status, "0002-00000503" in text) == (403, True), text
    for expires in (MANY_DIGITS, "000000001" + MANY_DIGITS, "604801"):
        status, text = await outcome(session, "GET", v4_url(cloud.oss, x_oss_expires=expires))
        assert (status, "0002-00000232" in text) == (400, True), text
    for expires, ec in (("x", 70), (MANY_DIGITS, 70), ("", 68), ("1", 69)):
        url = f"{cloud.oss}/photos/a.txt?OSSAccessKeyId=LTAI-local&Signature=x&Expires={expires}"
        status, text = await outcome(session, "GET", URL(url, encoded=True))
        assert (status, f"0002-000000{ec}" in text) == (403, True), text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-oss-meta-a", "\udcff"),
        ("Origin", "http://\udcff"),
        ("Authorization", "OSS LTAI-local:\udcff"),
        ("Authorization", "OSS4-HMAC-SHA256 Credential=\udcff,Signature=\udcff"),
    ],
)
async def test_a_header_that_is_not_utf8(cloud: Cloud, session: aiohttp.ClientSession, name: str, value: str) -> None:
    rules = [{"allowed_origins": ["http://*"], "allowed_methods": ["GET"]}]
    async with session.put(f"{cloud.oss}/-/buckets/photos/cors", json=rules) as answer:
        assert answer.status == 200
    assert (await send(cloud.oss, "GET /photos/a.txt", f"{name}: {value}")).startswith("HTTP/1.1 501 ")


async def test_a_body_needs_a_length(cloud: Cloud) -> None:
    url = presigned(cloud.oss, "PUT", "a.txt", {}, {})
    answer = await send(cloud.oss, f"PUT {url.raw_path_qs}", "Accept: */*")
    assert (answer[:13], "MissingContentLength" in answer) == ("HTTP/1.1 411 ", True)
    assert await cloud.objects("photos") == []


async def send(address: str, request: str, header: str) -> str:
    """Send bytes that no client library sends, and return the response."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = (f"{request} HTTP/1.1", "Host: localhost", "Connection: close", header, "", "")
    writer.write("\r\n".join(lines).encode(errors="surrogateescape"))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


async def test_an_origin_is_needed_for_a_preflight(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    for headers in ({}, {"Origin": "https://h5.example.com"}):
        status, text = await outcome(session, "OPTIONS", f"{cloud.oss}/photos/a.txt", headers)
        assert (status, "<Code>BadRequest</Code>" in text) == (400, True), text


async def test_bodies(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    form = "application/x-www-form-urlencoded"
    for kind, body in (
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        (form, b"\xff\xfe=\xff"),
        (f"{form}; charset=none", b"x"),
    ):
        for url in (f"{cloud.sts}/?Action=AssumeRole&Version=2015-04-01", f"{cloud.wechat}/gateway.do"):
            async with session.post(url, data=body, headers={"Content-Type": kind}) as answer:
                assert answer.status in (200, 400), await answer.text()
                assert "issing" in await answer.text()
    for path in ("api/apps/v2/jscode2session", "cgi-bin/stable_token"):
        async with session.post(f"{cloud.wechat}/{path}", data=DEEP_JSON) as answer:
            assert answer.status == 200, await answer.text()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "roles/x"),
        ("PUT", "faults"),
        ("PUT", "access-keys/x"),
        ("PUT", "buckets/photos/cors"),
        ("PUT", "wechat/apps/x"),
        ("POST", "buckets"),
        ("POST", "callbacks"),
    ],
)
async def test_the_control_api(cloud: Cloud, session: aiohttp.ClientSession, method: str, path: str) -> None:
    for body in (
        b"x",
        DEEP_JSON,
        b'{"name": 1, "region": 2, "url": 3, "body": 4}',
        b'{"url": "http://127.0.0.1:99999", "body": "x"}',
        b'{"name": "x", "region": "y", "cors_origins": 5}',
        b'[{"allowed_origins": ["*"], "allowed_methods": ["GET"], "max_age_seconds": [1]}]',
    ):
        async with session.request(method, f"{cloud.oss}/-/{path}", data=body) as answer:
            assert (answer.status, "error" in await answer.json()) == (400, True)
    async with session.put(
        f"{cloud.metadata}/latest/api/token", headers={"X-aliyun-ecs-metadata-token-ttl-seconds": MANY_DIGITS}
    ) as answer:
        assert answer.status == 400
