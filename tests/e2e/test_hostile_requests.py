"""50,000 mutated requests, and those that schemathesis generates from /openapi.json: no 500, traceback or secret."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud
from tests.harness.processes import run
from tests.harness.signer import Signer, signer

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("HOSTILE_REQUESTS", "50000"))
CONNECTIONS = 100
KEY_HASH = "67e8302899e9dc9dfa999f77f5e49bf4b70284026748e5b1a31bc1487f3ab778"
JWT_SECRET = "a-secret-of-more-than-thirty-two-bytes"
SECRETS = ("local-secret", JWT_SECRET, "the-secret-of-wechat")

Seed = tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]
"""Method, target, headers and body."""

SEEDS: list[Seed] = [
    (b"GET", b"/generate_signature?app_id=open", [], b""),
    (b"GET", b"/generate_signature", [(b"Referer", b"https://servicewechat.com/open/1/page-frame.html")], b""),
    (b"POST", b"/v1/apps/open/uploads", [], b'{"filename": "a.jpg", "content_type": "image/jpeg", "size": 1}'),
    (b"POST", b"/v1/apps/open/uploads", [(b"X-Request-Id", b"request-0001")], b'{"vars": {"a": "b"}, "filename": "a"}'),
    (
        b"POST",
        b"/v1/apps/known/uploads",
        [(b"X-Api-Key", b"the-key-of-the-tests"), (b"X-Caller", b"a")],
        b'{"filename": "a.jpg"}',
    ),
    (b"POST", b"/v1/apps/known/uploads", [(b"Authorization", b"Bearer eyJhbGciOiJub25lIn0.e30.")], b"{}"),
    (b"POST", b"/v1/apps/known/uploads", [(b"X-Session", b"a.b.c")], b'{"code": "c"}'),
    (
        b"GET",
        b"/v1/apps/known/downloads?key=known/a/b.jpg",
        [(b"X-Api-Key", b"the-key-of-the-tests"), (b"X-Caller", b"a")],
        b"",
    ),
    (
        b"POST",
        b"/v1/apps/known/downloads",
        [(b"X-Api-Key", b"the-key-of-the-tests"), (b"X-Caller", b"a")],
        b'{"keys": ["known/a/b.jpg", "known/b/c.jpg"], "style": "thumb"}',
    ),
    (
        b"DELETE",
        b"/v1/apps/known/objects?key=known/a/b.jpg",
        [(b"X-Api-Key", b"the-key-of-the-tests"), (b"X-Caller", b"a")],
        b"",
    ),
    (
        b"POST",
        b"/v1/apps/open/callback",
        [(b"Authorization", b"eHg="), (b"x-oss-pub-key-url", b"aHR0cDovL3g=")],
        b"a=b",
    ),
    (b"OPTIONS", b"/v1/apps/open/uploads", [(b"Origin", b"https://h5.example.com")], b""),
    (b"GET", b"/openapi.json", [], b""),
]
TOKENS = [
    b"\x00", b"\r\n", b"\r\n\r\n", b"%00", b"%2e%2e%2f", b"../", b"//", b"\xff\xfe", b"\xe2\x80\xae", b"{{", b'"', b"'",
    b"Content-Length: 99999999999\r\n", b"Transfer-Encoding: chunked\r\n", b"[" * 200, b'{"a":' * 100, b"A" * 9000,
    b"Host: y\r\n", b"$", b"${filename}", b"HTTP/9.9", b"?app_id=", b"&size=-1", b"1e400", b"null", b"\xf0\x9f\x92\xa9",
]  # fmt: skip


CLOSING_REQUEST = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
"""The signer closes the connection after this one, unless a mutated_request one before it waits for a body."""
SILENCE_SECONDS = 1.0


async def read_responses(reader: asyncio.StreamReader) -> bytes:
    """Return what the signer sends until it closes the connection or waits for more."""
    received = bytearray()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SILENCE_SECONDS):
            while chunk := await reader.read(65536):
                received += chunk
    return bytes(received)


def mutated_request(rng: random.Random) -> bytes:
    """Return a request with something hostile in one of its parts, which sometimes is not HTTP any more."""
    method, target, headers, body = rng.choice(SEEDS)
    headers = list(headers)
    match rng.randrange(6):
        case 0:
            target = mutate(rng, target).replace(b" ", b"+").replace(b"\r", b"").replace(b"\n", b"")
        case 1 if headers:
            at = rng.randrange(len(headers))
            headers[at] = (headers[at][0], mutate(rng, headers[at][1]).replace(b"\r", b"").replace(b"\n", b""))
        case 2 if headers:
            headers += [rng.choice(headers)] * rng.randint(1, 3)
        case 3:
            method = mutate(rng, method)
        case _:
            body = mutate(rng, body)
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: x", *(b": ".join(each) for each in headers)]
    lines += [b"Content-Length: %d" % len(body)] if body else []
    data = b"\r\n".join(lines) + b"\r\n\r\n" + body
    return mutate(rng, data) if rng.random() < 0.1 else data


def mutate(rng: random.Random, text: bytes) -> bytes:
    data = bytearray(text)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[at:at] = rng.choice(TOKENS)
            case 1:
                del data[at : at + rng.randint(1, 8)]
            case 2:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case _:
                data[at : at + rng.randint(1, 8)] = rng.choice(TOKENS)
    return bytes(data)


@pytest.fixture
async def running(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> AsyncIterator[Signer]:
    await cloud.create_bucket("photos")
    config = tmp_path / "signer.yaml"
    config.write_text(
        f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}
defaults: {{key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r}}
apps:
  open:
    cors_origins: [https://h5.example.com]
    callback: {{url: https://s.example.com/v1/apps/open/callback, body: "bucket=${{bucket}}&object=${{object}}"}}
  known:
    key_prefix: "{{app}}/{{caller}}/"
    key: "{{uuid}}-{{filename}}"
    downloads: {{styles: {{thumb: "image/resize,w_200"}}}}
    deletes: true
    oss_endpoint: "{cloud.oss}"
    callers:
      - {{type: wechat, secret: the-secret-of-wechat, endpoint: "http://127.0.0.1:1"}}
      - {{type: jwt, secret: {JWT_SECRET}}}
      - {{type: api_key, keys: {{shop: {KEY_HASH}}}}}
""",
        encoding="utf-8",
    )
    async with signer(session, config) as started:
        yield started


def assert_no_error_or_secret(output: str, running: Signer) -> None:
    log = "".join(running.output)
    assert "internal error" not in log
    assert "traceback" not in log.lower()
    for secret in SECRETS:
        assert secret not in log + output


async def test_mutated_requests_get_a_response_or_are_dropped(running: Signer) -> None:
    address = urlsplit(running.public)
    statuses: Counter[int] = Counter()
    responses: list[bytes] = []

    async def send(seed: int, count: int) -> None:
        rng = random.Random(seed)
        while count > 0:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            batch = min(count, rng.randint(1, 4))
            count -= batch
            try:
                writer.write(b"".join(mutated_request(rng) for _ in range(batch)) + CLOSING_REQUEST)
                received = await read_responses(reader)
            except ConnectionError:
                received = b""
            finally:
                writer.close()
            statuses.update(int(each) for each in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", received))
            responses.append(received)

    await asyncio.gather(*(send(seed, REQUESTS // CONNECTIONS) for seed in range(CONNECTIONS)))
    print(f"{REQUESTS} mutated_request requests: {dict(sorted(statuses.items()))}")
    assert not [status for status in statuses if status in (500, 501, 502, 504)]
    assert statuses[200] > 100
    assert statuses[400] > 100
    async with running.session.get(f"{running.public}/generate_signature?app_id=open") as response:
        assert response.status == 200
    assert_no_error_or_secret(b"".join(responses).decode("latin-1"), running)


async def test_responses_match_openapi(running: Signer, tmp_path: Path) -> None:
    ended = await run(
        *(Path(sys.executable).parent / "schemathesis", "run", f"{running.public}/openapi.json"),
        *(
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ),
        *(
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "60",
            "--seed",
            "1",
            "-H",
            "X-Api-Key:the-key-of-the-tests",
        ),
        cwd=tmp_path,
        environ={"NO_COLOR": "1"},
    )
    output = ended.out + ended.err
    assert ended.status == 0, output[-6000:]
    assert_no_error_or_secret(output, running)
