"""What attackers try at the door itself; at callers see tests/callers, at callbacks tests/delivery.

| attack | where |
|---|---|
| replayed code, token of another app, expired | tests/callers/test_wechat.py, test_sessions.py |
| alg none, key confusion | tests/callers/test_jwt.py |
| JWKS flood | tests/callers/test_jwks.py |
| forged callback; key URL with userinfo, look-alike host, redirect, huge body | tests/delivery/test_signature.py |
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
apps: {{a: {{bucket: photos, region: cn-hangzhou, credentials: r, cors_origins: [https://h5.example.com]}}}}
""",
        encoding="utf-8",
    )


async def raw(running: Signer, data: bytes) -> bytes:
    """Everything the signer says until it closes the connection."""
    address = urlsplit(running.public)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(data)
        async with asyncio.timeout(60):
            return await reader.read(-1)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "wish", [{"filename": INJECTED}, {"content_type": f"image/{INJECTED}"}, {"vars": {"x": INJECTED}}]
)
async def test_no_header_is_injected_by_a_wish(running: Signer, wish: dict[str, object]) -> None:
    async with running.session.post(f"{running.public}/v1/apps/a/uploads", json=wish) as response:
        assert "X-Injected" not in response.headers
        text = json.dumps(await response.json(content_type=None))
    assert "\r" not in text
    assert response.status in (201, 400)


@pytest.mark.parametrize("name", [b"X-Request-Id", b"Origin", b"X-App-Id", b"Referer"])
async def test_no_header_is_injected_by_a_header(running: Signer, name: bytes) -> None:
    hostile = b"a\rX-Injected: yes"
    request = b"GET /generate_signature?app_id=a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b: %b\r\n\r\n"
    said = await raw(running, request % (name, hostile))
    head = said.partition(b"\r\n\r\n")[0]
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
        b"/metrics",
        b"/status",
        b"http://127.0.0.1/metrics",
        b"*",
    ],
)
async def test_no_path_leads_elsewhere(running: Signer, path: bytes) -> None:
    """The admin's addresses are not there, however they are written."""
    said = await raw(
        running, b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    assert said.split(b" ")[1:2] in ([b"400"], [b"404"], [b"405"]), said[:200]


async def test_a_body_that_comes_too_slowly_is_given_up(running: Signer) -> None:
    said = await raw(
        running,
        b"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n{",
    )
    assert said.startswith(b"HTTP/1.1 400"), said[:200]
    assert b"did not arrive within" in said


@pytest.mark.parametrize(
    "head",
    [
        b"X-Big: " + b"a" * 100_000,
        b"\r\n".join(b"X-%d: a" % number for number in range(5000)),
        b"Cookie: " + b"a=b; " * 20_000,
    ],
)
async def test_huge_headers_are_refused(running: Signer, head: bytes) -> None:
    said = await raw(running, b"GET /generate_signature?app_id=a HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
    assert said == b"" or said.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), said[:200]
    async with running.session.get(f"{running.public}/generate_signature?app_id=a") as response:
        assert response.status == 200
    assert "traceback" not in "".join(running.output).lower()
