"""Responses and connections byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import cast

import aiohttp
import pytest
import pytest_asyncio

from signer.http.adapter import STANDARD_HTTP_VARIABLE
from tests.harness.signer import Entry, Signer, signer
from tests.harness.waiting import DEADLINE_SECONDS, wait_until

TARGET = "/generate_signature?app_id=a"
MAX_GROWTH_BYTES = 64 * 2**20
TOO_MANY_BYTES = 256 * 2**20
BODY_SECONDS = 10.0
"""The time limit for a body."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


DEFINITIONS = """
version: 1
server: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}
credentials: {key: {type: static, access_key_id: LTAI, access_key_secret: secret}}
apps: {a: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: key, rate_limit: {per_app: 1000000/s}}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["fast", "standard"])
async def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Signer]:
    config = tmp_path_factory.mktemp("wire") / "signer.yaml"
    config.write_text(DEFINITIONS, encoding="utf-8")
    environ = {STANDARD_HTTP_VARIABLE: "1"} if request.param == "standard" else {}
    async with aiohttp.ClientSession() as session, signer(session, config, environ=environ) as one:
        assert is_standard(one) == (request.param == "standard")
        yield one


@contextlib.asynccontextmanager
async def connection(to: Signer) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = to.public.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield reader, writer
    finally:
        writer.close()


def is_standard(running: Signer) -> bool:
    return bool(running.log("standard HTTP adapter in use"))


def errors_in_log(running: Signer) -> list[Entry]:
    return [entry for entry in running.log() if entry["level"] == "error"]


def skip_if_noticed_only_after_the_time_limit(running: Signer) -> None:
    if is_standard(running):
        pytest.skip("aiohttp does not report a malformed body to a handler that waits for the rest of it")


async def head_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = [line.partition(": ") for line in lines[1:-2]]
    assert len({name.lower() for name, _, _ in pairs}) == len(pairs), "a duplicate header"
    return int(lines[0].split()[1]), {name: value for name, _, value in pairs}


async def problem_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], dict[str, str]]:
    status, headers = await head_of(reader)
    assert headers["Content-Type"] == "application/problem+json; charset=utf-8"
    return status, headers, json.loads(await reader.readexactly(int(headers["Content-Length"])))


async def test_a_response_has_a_length_and_a_date_and_the_connection_stays_open(running: Signer) -> None:
    async with connection(running) as (reader, writer):
        for _ in range(2):
            writer.write(f"GET {TARGET} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            status, headers = await head_of(reader)
            body = await reader.readexactly(int(headers["Content-Length"]))
            assert (status, body[:1], body[-1:]) == (200, b"{", b"}")
            assert headers["Content-Type"] == "application/json; charset=utf-8"
            assert headers["Cache-Control"] == "no-store"
            assert "Connection" not in headers
            parsedate_to_datetime(headers["Date"])


async def test_a_preflight_has_neither_a_body_nor_a_length(running: Signer) -> None:
    async with connection(running) as (reader, writer):
        writer.write(f"OPTIONS {TARGET} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        status, headers = await head_of(reader)
        assert (status, "Content-Length" in headers) == (204, False)


@pytest.mark.parametrize(
    ("version", "requested", "expected"),
    [
        ("1.1", "close", "close"),
        ("1.1", "keep-alive", None),
        ("1.0", "keep-alive", "keep-alive"),
        ("1.0", None, None),
    ],
)
async def test_the_connection_is_closed_or_kept_as_the_client_requests(
    running: Signer, version: str, requested: str | None, expected: str | None
) -> None:
    async with connection(running) as (reader, writer):
        header = "" if requested is None else f"Connection: {requested}\r\n"
        writer.write(f"GET {TARGET} HTTP/{version}\r\nHost: a\r\n{header}\r\n".encode())
        status, headers = await head_of(reader)
        await reader.readexactly(int(headers["Content-Length"]))
        connection_header = headers.get("Connection")
        assert (status, connection_header if connection_header != "close" or version == "1.1" else None) == (
            200,
            expected,
        )
        if requested != "keep-alive":
            assert await reader.read() == b"", "the connection is closed"


MALFORMED = {
    "no HTTP": (b"no http\r\n\r\n", 400, "invalid_request"),
    "too long a path": (b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 8192), 414, "uri_too_long"),
    "too long a query": (b"GET /?%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 8191), 414, "uri_too_long"),
    "too long a header": (
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: %b\r\n\r\n" % (b"a" * 40961),
        431,
        "header_too_large",
    ),
    "too long a header name": (b"GET / HTTP/1.1\r\n%b: a\r\n\r\n" % (b"a" * 40961), 431, "header_too_large"),
}


@pytest.mark.parametrize(("request_bytes", "status", "code"), MALFORMED.values(), ids=MALFORMED)
async def test_what_cannot_be_parsed_is_rejected_and_the_connection_is_closed(
    running: Signer, request_bytes: bytes, status: int, code: str
) -> None:
    """Any client can send it, so it is not logged as an error."""
    async with connection(running) as (reader, writer):
        writer.write(request_bytes)
        found, headers, body = await problem_of(reader)
        assert (found, body["code"]) == (status, code)
        assert (headers["X-Request-Id"], body["request_id"]) == ("-", "-")
        assert await reader.read() == b""
    assert not errors_in_log(running)


async def test_the_longest_path_and_header_are_accepted(running: Signer) -> None:
    async with connection(running) as (reader, writer):
        target, cookie = b"/".ljust(8192, b"a"), b"a" * 40954
        writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\nCookie: %b\r\n\r\n" % (target, cookie))
        assert (await problem_of(reader))[0] == 404


async def test_an_upgrade_to_another_protocol_is_ignored(running: Signer) -> None:
    """What follows its request may be of that protocol, so the connection is closed."""
    async with connection(running) as (reader, writer):
        header = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        writer.write(f"GET {TARGET} HTTP/1.1\r\nHost: a\r\n{header}\r\n".encode() + b"\x81\x02hi")
        status, headers = await head_of(reader)
        await reader.readexactly(int(headers["Content-Length"]))
        assert (status, headers["Connection"]) == (200, "close")
        assert await reader.read() == b""


async def test_an_unused_body_is_discarded_and_the_connection_stays_open(running: Signer) -> None:
    async with connection(running) as (reader, writer):
        writer.write(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
        status, headers = await head_of(reader)
        await reader.readexactly(int(headers["Content-Length"]))
        assert (status, "Connection" in headers) == (404, False)
        writer.write(b"#" * 300_000 + f"GET {TARGET} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert (await head_of(reader))[0] == 200


@pytest.mark.parametrize("sent", [300_000, 100_000])
async def test_a_body_above_the_size_limit_is_rejected(running: Signer, sent: int) -> None:
    """The rest of a larger one is discarded."""
    async with connection(running) as (reader, writer):
        head = f"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: a\r\nContent-Length: {sent}\r\n\r\n".encode()
        writer.write(head + b" " * sent + f"GET {TARGET} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        status, _, problem = await problem_of(reader)
        assert (status, problem["code"]) == (413, "too_large")
        assert (await head_of(reader))[0] == 200


async def test_a_chunked_body_is_rejected_once_it_exceeds_the_size_limit(running: Signer) -> None:
    async with connection(running) as (reader, writer):
        writer.write(b"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write((b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 2)
        status, _, problem = await problem_of(reader)
        assert (status, problem["code"]) == (413, "too_large")


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_a_compressed_body_is_rejected(running: Signer, coding: str) -> None:
    """A small body may decompress to a large one."""
    packed = gzip.compress(b'{"filename": "cat.jpg"}')
    async with running.session.post(
        f"{running.public}/v1/apps/a/uploads", data=packed, headers={"Content-Encoding": coding}
    ) as response:
        problem = await response.json(content_type="application/problem+json")
    assert (response.status, problem["code"]) == (400, "invalid_request")
    assert "without Content-Encoding" in problem["detail"]


async def test_an_unused_body_without_an_end_closes_the_connection(running: Signer) -> None:
    async with connection(running) as (reader, writer):
        writer.write(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await head_of(reader))[0] == 404
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < TOO_MANY_BYTES:
                writer.write(b"10000\r\n" + b"#" * 0x10000 + b"\r\n")
                await writer.drain()
                sent += 0x10000
    assert sent < TOO_MANY_BYTES


async def test_a_malformed_unused_body_closes_the_connection(running: Signer) -> None:
    """Any client can send one, so it is not logged as an error."""
    skip_if_noticed_only_after_the_time_limit(running)
    async with connection(running) as (reader, writer):
        writer.write(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        status, headers = await head_of(reader)
        await reader.readexactly(int(headers["Content-Length"]))
        assert status == 404
        writer.write(b"no chunk\r\n")
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
    assert not errors_in_log(running)


async def test_a_malformed_body_is_rejected_at_once(running: Signer) -> None:
    skip_if_noticed_only_after_the_time_limit(running)
    async with connection(running) as (reader, writer):
        # After a whole request, the signer reads from this connection before it reads a later request of another one.
        writer.write(f"GET {TARGET} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        _, headers = await head_of(reader)
        await reader.readexactly(int(headers["Content-Length"]))
        writer.write(b"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: a\r\nX-Request-Id: breaks-off\r\n")
        writer.write(b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"fil\r\n')
        await writer.drain()
        async with running.session.get(f"{running.public}{TARGET}") as response:
            assert response.status == 200, "the signer has read the first part of the body by now"
        writer.write(b"no chunk\r\n")
        status, headers, problem = await problem_of(reader)
        assert (status, problem["request_id"], problem["detail"]) == (
            400,
            "breaks-off",
            "the body is incomplete or malformed; send it again",
        )
        assert headers["Connection"] == "close"
        assert await reader.read() == b""


async def test_a_request_ends_when_its_client_disconnects(running: Signer) -> None:
    path = "/v1/apps/a/uploads"
    async with connection(running) as (_reader, writer):
        writer.write(f"POST {path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: leaves-early\r\n".encode())
        writer.write(b'Content-Length: 100\r\n\r\n{"filename":')
        await writer.drain()
    entry = (await wait_until(lambda: [each for each in running.log() if each.get("request_id") == "leaves-early"]))[0]
    assert (entry["status"], entry["code"]) == (400, "invalid_request")
    assert entry["milliseconds"] < BODY_SECONDS * 1000, "the request ended only with the time limit"


async def test_a_client_that_waits_for_100_continue_gets_it(running: Signer) -> None:
    async with connection(running) as (reader, writer):
        writer.write(
            b"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        status, headers = await head_of(reader)
        await reader.readexactly(int(headers["Content-Length"]))
        assert (status, "Connection" in headers) == (201, False)


@pytest.mark.parametrize(("path", "length", "status"), [("/nowhere", 2, 404), ("/v1/apps/a/uploads", 300_000, 413)])
async def test_no_body_is_requested_that_is_not_needed(running: Signer, path: str, length: int, status: int) -> None:
    async with connection(running) as (reader, writer):
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        writer.write(head.encode())
        assert (await head_of(reader))[0] == status


async def test_http_1_0_has_no_100_continue(running: Signer) -> None:
    async with connection(running) as (reader, writer):
        writer.write(b"POST /v1/apps/a/uploads HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        writer.write(b"{}")
        assert (await head_of(reader))[0] == 201


@pytest.mark.parametrize("path", [TARGET, "/openapi.json", "/v1/apps/a/downloads?key=k"])
async def test_head_responds_as_get_without_a_body(running: Signer, path: str) -> None:
    found = []
    async with connection(running) as (reader, writer):
        for method in ("GET", "HEAD"):
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: the-same-one\r\n\r\n".encode())
            status, headers = await head_of(reader)
            if method == "GET":
                await reader.readexactly(int(headers["Content-Length"]))
            found.append((status, headers["Content-Type"], headers["Content-Length"]))
        writer.write(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await head_of(reader))[0] == 404, "no bytes of a body precede the next response"
    assert found[0] == found[1]


async def test_a_client_that_never_reads_uses_no_memory(running: Signer) -> None:
    """It sends requests on one connection; once the socket is full, the signer stops responding to them."""
    status = Path(f"/proc/{running.process.pid}/status")
    if not status.exists():
        pytest.skip("no /proc on this system")

    def memory_bytes() -> int:
        return int(re.findall(r"VmRSS:\s+(\d+)", status.read_text(encoding="ascii"))[0]) * 1024

    before = memory_bytes()
    request = f"GET {TARGET} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    async with connection(running) as (_reader, writer):
        cast(asyncio.Transport, writer.transport).pause_reading()
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):  # until the signer reads no more of them
                while sent < 200_000:
                    writer.write(request * 100)
                    sent += 100
                    await writer.drain()
        async with running.session.get(f"{running.public}{TARGET}") as response:
            assert response.status == 200, "other clients are served"
        assert memory_bytes() - before < MAX_GROWTH_BYTES
