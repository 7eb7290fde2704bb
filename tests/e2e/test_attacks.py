"""Attacks on the HTTP layer, and where attacks on other layers are tested.

| attack | where |
|---|---|
| replayed code, token of another app, expired | tests/callers/test_wechat.py, test_session_tokens.py |
| alg none, key confusion | tests/callers/test_jwt_bearer.py |
| JWKS flood: unknown key ids, forged signatures | tests/callers/test_jwks.py |
| garbage wx.login codes, changing IPv6 addresses, a caller id like an address | tests/limits/test_limits_of_an_app.py |
| a forwarded address that cannot be read | tests/http/test_client_address.py |
| forged callback; key URL with userinfo, similar host, redirect, huge body | tests/delivery/test_callback_signature.py |
| callback sent again and again, forged reports that fill the queue | tests/delivery/test_receiver.py, tests/e2e/callbacks |
| changed, dropped and added form fields; types that run script | tests/signing/test_forged_forms.py |
| caller ids and file names that make one key | tests/signing/test_key_ownership.py |
| a web page that calls the admin listener, a rebound name | tests/admin/test_access.py |
| an editor of a remote store who reads the machine's secrets | tests/definitions/test_remote_store.py |
| secrets in lists, unions and URLs of the definitions | tests/e2e/test_planted_secrets.py |
| a pipe or a device as a file of the configuration | tests/live/test_reloader.py, tests/stores/test_file_polling.py |
| header injection, path tricks, slow body, huge headers | here |
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.signer import Signer, signer
from tests.harness.waiting import deadline

pytestmark = pytest.mark.asyncio(loop_scope="module")
INJECTED = "a\r\nX-Injected: yes\r\n\r\nbody"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Signer]:
    config = tmp_path_factory.mktemp("attacks") / "signer.yaml"
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        write(config, cloud)
        async with signer(session, config) as started:
            yield started


def write(config: Path, cloud: Cloud) -> None:
    config.write_text(
        f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}
apps: {{a: {{key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r, cors_origins: [https://h5.example.com]}}}}
""",
        encoding="utf-8",
    )


async def exchange_bytes(running: Signer, data: bytes) -> bytes:
    """Send bytes, and return what the signer sends until it closes the connection."""
    address = urlsplit(running.public)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(data)
        async with deadline():
            return await reader.read(-1)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "upload_request", [{"filename": INJECTED}, {"content_type": f"image/{INJECTED}"}, {"vars": {"x": INJECTED}}]
)
async def test_a_request_body_injects_no_header(running: Signer, upload_request: dict[str, object]) -> None:
    async with running.session.post(f"{running.public}/v1/apps/a/uploads", json=upload_request) as response:
        assert "X-Injected" not in response.headers
        text = json.dumps(await response.json(content_type=None))
    assert "\r" not in text
    assert response.status in (201, 400)


@pytest.mark.parametrize("name", [b"X-Request-Id", b"Origin", b"X-App-Id", b"Referer"])
async def test_a_request_header_injects_no_header(running: Signer, name: bytes) -> None:
    hostile = b"a\rX-Injected: yes"
    request = b"GET /generate_signature?app_id=a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b: %b\r\n\r\n"
    received = await exchange_bytes(running, request % (name, hostile))
    head = received.partition(b"\r\n\r\n")[0]
    assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert b"X-Injected" not in head


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/apps/a/../../healthz",
        b"/v1/apps/%2e%2e/%2e%2e/-/reload",
        b"/v1/apps/a%2fuploads",
        b"//v1/apps/a/uploads",
        b"/v1/apps//uploads",
        b"/v1/apps/a/uploads/",
        b"/v1/apps/a;x/uploads",
        b"/V1/apps/a/uploads",
        b"/-/reload",
        b"/-/refresh",
        b"/metrics",
        b"/status",
        b"http://127.0.0.1/metrics",
        b"*",
    ],
)
async def test_no_path_reaches_another_route(running: Signer, path: bytes) -> None:
    """The admin routes are unreachable, however their paths are written."""
    received = await exchange_bytes(
        running, b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    assert received.split(b" ")[1:2] in ([b"400"], [b"404"], [b"405"]), received[:200]


async def test_a_slow_body_times_out(running: Signer) -> None:
    address = urlsplit(running.public)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    async with deadline():
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readuntil(b"}")
    writer.close()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"did not arrive within" in body


@pytest.mark.parametrize(
    "head",
    [
        b"X-Big: " + b"a" * 100_000,
        b"\r\n".join(b"X-%d: a" % number for number in range(5000)),
        b"Cookie: " + b"a=b; " * 20_000,
    ],
)
async def test_huge_headers_are_rejected(running: Signer, head: bytes) -> None:
    received = await exchange_bytes(
        running, b"GET /generate_signature?app_id=a HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n"
    )
    assert received == b"" or received.split(b" ")[1] in (b"400", b"431"), received[:200]
    async with running.session.get(f"{running.public}/generate_signature?app_id=a") as response:
        assert response.status == 200
    assert "traceback" not in "".join(running.output).lower()
