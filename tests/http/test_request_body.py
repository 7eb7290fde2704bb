"""Reading and skipping the body of a request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from aiohttp import HttpVersion, HttpVersion10, HttpVersion11, StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from multidict import CIMultiDict, MultiMapping

from signer.errors import InvalidRequest, TooLarge
from signer.http import request_body
from signer.http.request_body import StreamBody, skip_body
from signer.request_context import MAX_BODY_BYTES


@dataclass
class Head:
    version: HttpVersion = HttpVersion11
    headers: MultiMapping[str] = field(default_factory=CIMultiDict)


class Transport(asyncio.WriteTransport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)


@pytest.fixture
async def stream() -> StreamReader:
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(Transport())
    return StreamReader(protocol, 2**16, loop=loop)


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "_READ_TIMEOUT_SECONDS", 0)


def feed(stream: StreamReader, *chunks: bytes, is_complete: bool = True) -> None:
    for chunk in chunks:
        stream.feed_data(chunk)
    if is_complete:
        stream.feed_eof()


def body_of(stream: StreamReader, head: Head | None = None, transport: Transport | None = None) -> StreamBody:
    return StreamBody(stream, head or Head(), transport)


@pytest.mark.parametrize("chunks", [(), (b"{}",), (b"{", b"}"), (b"x" * MAX_BODY_BYTES,)])
async def test_a_body_that_has_arrived_is_returned(stream: StreamReader, chunks: tuple[bytes, ...]) -> None:
    feed(stream, *chunks)
    assert await body_of(stream).read() == b"".join(chunks)


async def test_a_body_that_arrives_later_is_returned(stream: StreamReader) -> None:
    reading = asyncio.create_task(body_of(stream).read())
    await asyncio.sleep(0)
    feed(stream, b"{", is_complete=False)
    await asyncio.sleep(0)
    feed(stream, b"}")
    assert await reading == b"{}"


@pytest.mark.parametrize("is_complete", [True, False])
async def test_a_body_above_the_limit_is_refused(stream: StreamReader, is_complete: bool) -> None:
    feed(stream, b"x" * (MAX_BODY_BYTES + 1), is_complete=is_complete)
    with pytest.raises(TooLarge):
        await body_of(stream).read()


async def test_a_declared_length_above_the_limit_is_refused_before_it_arrives(stream: StreamReader) -> None:
    transport = Transport()
    head = Head(headers=CIMultiDict({"Content-Length": str(MAX_BODY_BYTES + 1), "Expect": "100-continue"}))
    with pytest.raises(TooLarge):
        await body_of(stream, head, transport).read()
    assert transport.written == b""


@pytest.mark.parametrize(
    ("version", "expect", "written"),
    [
        (HttpVersion11, "100-continue", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HttpVersion11, "100-Continue", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HttpVersion11, "", b""),
        (HttpVersion10, "100-continue", b""),
    ],
)
async def test_a_client_that_waits_gets_100_continue(
    stream: StreamReader, version: HttpVersion, expect: str, written: bytes
) -> None:
    transport = Transport()
    reading = asyncio.create_task(body_of(stream, Head(version, CIMultiDict({"Expect": expect})), transport).read())
    await asyncio.sleep(0)
    assert transport.written == written
    feed(stream, b"{}")
    assert await reading == b"{}"


async def test_a_body_that_has_arrived_needs_no_continue(stream: StreamReader) -> None:
    transport = Transport()
    feed(stream, b"{}")
    await body_of(stream, Head(headers=CIMultiDict({"Expect": "100-continue"})), transport).read()
    assert transport.written == b""


@pytest.mark.usefixtures("no_time")
async def test_a_slow_body_is_refused(stream: StreamReader) -> None:
    feed(stream, b"{", is_complete=False)
    with pytest.raises(InvalidRequest, match="did not arrive"):
        await body_of(stream).read()


@pytest.mark.parametrize("error", [ConnectionResetError(), web.RequestPayloadError("bad chunk")])
async def test_a_broken_body_is_refused(stream: StreamReader, error: Exception) -> None:
    stream.set_exception(error)
    with pytest.raises(InvalidRequest, match="incomplete or malformed"):
        await body_of(stream).read()


async def test_the_rest_of_a_body_is_skipped(stream: StreamReader) -> None:
    skipping = asyncio.create_task(skip_body(stream))
    feed(stream, b"x" * 100_000, is_complete=False)
    await asyncio.sleep(0)
    feed(stream, b"x")
    assert await skipping


async def test_a_body_without_an_end_is_not_skipped_forever(
    stream: StreamReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "_MAX_SKIPPED_BYTES", 10)
    feed(stream, b"x" * 11, is_complete=False)
    assert not await skip_body(stream)


@pytest.mark.usefixtures("no_time")
async def test_a_body_that_never_arrives_is_not_skipped_forever(stream: StreamReader) -> None:
    assert not await skip_body(stream)


async def test_a_broken_body_is_not_skipped(stream: StreamReader) -> None:
    stream.set_exception(ConnectionResetError())
    assert not await skip_body(stream)


async def test_a_client_that_has_disconnected_sends_no_body() -> None:
    loop = asyncio.get_running_loop()
    stream = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    with pytest.raises(InvalidRequest, match="incomplete"):
        await body_of(stream).read()
    assert not await skip_body(stream)
