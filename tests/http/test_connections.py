"""How each adapter treats connections whose requests or responses are unusual."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import BaseTestServer

from signer.callers.caller import Session
from signer.http import request_body
from signer.http.reply import TEXT, Reply
from signer.http.router import Router
from signer.limits.token_bucket import Allowance
from signer.revision import Context
from tests.harness.http_service import ADAPTERS, HttpTestServer, running_service
from tests.harness.waiting import deadline, wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def respond(_context: Context) -> Reply:
    return Reply(200, b"hello", TEXT)


async def read_body(context: Context) -> Reply:
    return Reply(200, await context.body.read(), TEXT)


async def respond_with_line_break(_context: Context) -> Reply:
    return Reply(200, headers={"X-Broken": "a\r\nX-Injected: yes"})


async def respond_with_session(_context: Context) -> Reply:
    return Reply(200, allowance=Allowance((10, 600), 9.0), session=Session("token", 7200))


@pytest.fixture(params=sorted(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def server(adapter: str) -> AsyncIterator[BaseTestServer]:
    router = Router()
    router.add("GET", "/", respond)
    router.add("POST", "/body", read_body)
    router.add("GET", "/line-break", respond_with_line_break)
    router.add("GET", "/session", respond_with_session)
    async with running_service("version: 1\ncredentials: {}\napps: {}\n") as service:
        server = HttpTestServer(service, router, ADAPTERS[adapter])
        await server.start_server()
        try:
            yield server
        finally:
            await server.close()


@pytest.fixture
async def streams(server: BaseTestServer) -> AsyncIterator[Streams]:
    async with deadline():
        reader, writer = await asyncio.open_connection(server.host, server.port)
        try:
            yield reader, writer
        finally:
            writer.close()


async def response_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
    body = await reader.readexactly(int(headers["content-length"]))
    return int(lines[0].split()[1]), headers, body


async def test_pipelined_requests_are_answered_in_order(streams: Streams) -> None:
    reader, writer = streams
    requests = [b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n%04d" % number for number in range(200)]
    writer.write(b"".join(requests))
    for number in range(200):
        assert (await response_of(reader))[2] == b"%04d" % number


async def test_an_unused_body_is_skipped(streams: Streams) -> None:
    reader, writer = streams
    writer.write(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    assert (await response_of(reader))[0] == 404
    writer.write(b"x" * 100_000 + GET)
    assert (await response_of(reader))[2] == b"hello"


async def test_an_unused_body_without_an_end_ends_the_connection(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "_MAX_SKIPPED_BYTES", 1000)
    reader, writer = streams
    writer.write(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert (await response_of(reader))[0] == 404
    writer.write(b"7d0\r\n" + b"x" * 2000 + b"\r\n")
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""


async def test_a_malformed_body_ends_the_request_and_the_connection(
    streams: Streams, adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if adapter == "standard":  # there only the time limit ends the request
        monkeypatch.setattr(request_body, "_READ_TIMEOUT_SECONDS", 0.1)
    reader, writer = streams
    writer.write(b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
    await writer.drain()
    writer.write(b"no chunk\r\n")
    assert (await response_of(reader))[0] == 400
    with contextlib.suppress(ConnectionResetError):
        await reader.read()


async def test_bytes_that_are_not_http_are_refused(streams: Streams, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = streams
    writer.write(b"\x16\x03\x01 a TLS handshake\r\n\r\n")
    assert (await response_of(reader))[0] == 400
    assert await reader.read() == b""
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_request_for_another_protocol_is_answered_and_ends_the_connection(streams: Streams) -> None:
    reader, writer = streams
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi")
    status, headers, body = await response_of(reader)
    assert (status, headers["connection"], body) == (200, "close", b"hello")
    assert await reader.read() == b""


@pytest.mark.parametrize("is_kept", [True, False])
async def test_http_1_0_connections_are_kept_on_request(streams: Streams, is_kept: bool) -> None:
    reader, writer = streams
    header = b"Connection: keep-alive\r\n" if is_kept else b""
    writer.write(b"GET / HTTP/1.0\r\n" + header + b"\r\n")
    status, headers, _body = await response_of(reader)
    assert (status, headers.get("connection") == "keep-alive") == (200, is_kept)
    if not is_kept:
        assert await reader.read() == b""


async def test_a_response_whose_header_contains_a_line_break_is_not_sent(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = streams
    writer.write(b"GET /line-break HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await reader.read() == b""
    assert [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_the_session_and_the_limits_are_headers(streams: Streams) -> None:
    reader, writer = streams
    writer.write(b"GET /session HTTP/1.1\r\nHost: a\r\n\r\n")
    _status, headers, _body = await response_of(reader)
    assert (headers["x-session"], headers["x-session-expires-in"]) == ("token", "7200")
    limits = [headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset")]
    assert limits == ["10", "9", "60"]


async def test_a_client_that_disconnects_while_it_sends_ends_its_request(
    streams: Streams, server: BaseTestServer
) -> None:
    _reader, writer = streams
    writer.write(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx")
    await writer.drain()
    assert server.runner is not None
    http_server = server.runner.server
    assert http_server is not None
    await wait_until(lambda: http_server.connections)
    writer.close()
    await wait_until(lambda: not http_server.connections)
