"""The limit of connections: idle ones are closed for new ones, and where all are busy, new ones wait."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from signer.http.dispatch import Dispatcher
from signer.http.draining_server import DrainingServer
from signer.http.reply import TEXT, Reply
from signer.http.request_log import RequestLog
from signer.http.router import Router
from signer.listen_address import ListenAddress
from signer.revision import Context
from signer.server import acceptor
from signer.server.listeners import Listener
from signer.server.sockets import listening_socket, waiting_connections
from tests.harness.http_service import ADAPTERS, running_service
from tests.harness.waiting import deadline, wait_until
from tests.https.certificates import Authority

LIMIT = 5
IDLE, SLOW = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Handler:
    """Answers `/` at once, and `/slow` when it is released."""

    def __init__(self) -> None:
        self.started = 0
        self.release = asyncio.Event()

    async def respond(self, _context: Context) -> Reply:
        return Reply(200, b"ok", TEXT)

    async def respond_late(self, _context: Context) -> Reply:
        self.started += 1
        await self.release.wait()
        return Reply(200, b"late", TEXT)

    async def wait_for_requests(self, count: int) -> None:
        await wait_until(lambda: self.started == count)


@pytest.fixture
async def handler() -> Handler:
    return Handler()


@pytest.fixture(params=sorted(ADAPTERS))
async def server(request: pytest.FixtureRequest, handler: Handler) -> AsyncIterator[DrainingServer]:
    router = Router()
    router.add("GET", "/", handler.respond)
    router.add("GET", "/slow", handler.respond_late)
    async with running_service("version: 1\ncredentials: {}\napps: {}\n") as service:
        yield ADAPTERS[request.param](Dispatcher(service, router, RequestLog()))


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with listening_socket(ListenAddress("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
async def listener(server: DrainingServer, sock: socket.socket) -> AsyncIterator[Listener]:
    listener = Listener(server, name="public", max_connections=LIMIT)
    try:
        yield listener
    finally:
        await listener.close()


class Clients:
    """Opens connections, and closes all of them in the end."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.opened: list[Streams] = []
        self._address = address

    async def open(self, request: bytes = b"") -> Streams:
        async with deadline():
            streams = await asyncio.open_connection(*self._address)
        self.opened.append(streams)
        streams[1].write(request)
        return streams

    async def get(self) -> Streams:
        """Send a request on a new connection, and return it when the response is there."""
        streams = await self.open(IDLE)
        assert await response(streams) == b"ok"
        return streams


@pytest.fixture
async def clients(listener: Listener, sock: socket.socket) -> AsyncIterator[Clients]:
    await listener.listen(sock)
    clients = Clients(sock.getsockname())
    yield clients
    for _, writer in clients.opened:
        writer.close()


async def response(streams: Streams) -> bytes:
    async with deadline():
        head = await streams[0].readuntil(b"\r\n\r\n")
        return await streams[0].readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))


async def is_closed(streams: Streams) -> bool:
    async with deadline():
        with contextlib.suppress(ConnectionResetError):
            return await streams[0].read(1) == b""
    return True


@pytest.fixture
def closes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections be closed as soon as they are idle, and wait long for their first request."""
    monkeypatch.setattr(acceptor, "_MIN_IDLE_SECONDS", 0.0)
    monkeypatch.setattr(acceptor, "_MAX_FIRST_REQUEST_SECONDS", 3600.0)


@pytest.mark.usefixtures("closes_at_once")
async def test_the_connection_that_is_idle_for_the_longest_time_is_closed(
    clients: Clients, server: DrainingServer
) -> None:
    first, second, *_others = [await clients.get() for _ in range(LIMIT - 1)]
    first[1].write(IDLE)
    assert await response(first) == b"ok"
    assert await response(await clients.open(IDLE)) == b"ok"
    assert await is_closed(second)
    first[1].write(IDLE)
    assert await response(first) == b"ok"
    assert server.connection_count == LIMIT - 1


@pytest.mark.usefixtures("closes_at_once")
async def test_connections_that_never_sent_a_request_are_closed_for_others(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "_MAX_FIRST_REQUEST_SECONDS", 0.0)
    for _ in range(3 * LIMIT):
        await clients.open()
    assert await response(await clients.open(IDLE)) == b"ok"
    assert await is_closed(clients.opened[0])


@pytest.mark.usefixtures("closes_at_once")
async def test_a_first_request_may_take_longer_than_the_next_one(
    clients: Clients, server: DrainingServer, sock: socket.socket
) -> None:
    """On a bad mobile line, it arrives late after the TLS handshake."""
    late = [await clients.open() for _ in range(LIMIT)]
    await wait_until(lambda: server.connection_count == LIMIT)
    waiting = await clients.open(IDLE)
    await wait_until(lambda: waiting_connections(sock) == 1)
    late[0][1].write(IDLE)
    assert await response(late[0]) == b"ok"
    assert await response(waiting) == b"ok"
    assert await is_closed(late[0])
    for streams in late[1:]:
        streams[1].write(IDLE)
        assert await response(streams) == b"ok"


def close_idle(server: DrainingServer, max_count: int) -> int:
    """Close this many connections that have no request in progress."""
    return server.close_idle_connections(min_idle_seconds=0, max_first_request_seconds=0, max_count=max_count)


async def test_connections_without_a_request_are_closed_after_those_that_had_one(
    clients: Clients, handler: Handler, server: DrainingServer
) -> None:
    gone, unused = [await clients.open() for _ in range(2)]
    answered, busy = await clients.get(), await clients.open(SLOW)
    await handler.wait_for_requests(1)
    gone[1].close()
    await wait_until(lambda: server.connection_count == 3)
    assert close_idle(server, max_count=1) == 1
    assert await is_closed(answered)
    assert close_idle(server, max_count=3) == 1
    assert await is_closed(unused)
    handler.release.set()
    assert await response(busy) == b"late"


async def test_while_all_connections_are_busy_others_wait(
    clients: Clients, handler: Handler, server: DrainingServer, sock: socket.socket
) -> None:
    for _ in range(LIMIT):
        await clients.open(SLOW)
    await handler.wait_for_requests(LIMIT)
    waiting = [await clients.open(IDLE) for _ in range(2)]
    assert (server.connection_count, waiting_connections(sock)) == (LIMIT, 2)
    handler.release.set()
    for streams in clients.opened[:LIMIT]:
        assert await response(streams) == b"late"
        streams[1].close()
    for streams in waiting:
        assert await response(streams) == b"ok"
    assert waiting_connections(sock) == 0


@pytest.mark.usefixtures("closes_at_once")
async def test_a_full_listener_is_logged_once(
    clients: Clients, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3 * LIMIT):
        await clients.get()
    [record] = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert record.message == "no room for more connections"
    fields = vars(record)
    assert (fields["listener"], fields["reason"]) == ("public", "limit reached")
    assert (fields["open"], fields["limit"]) == (LIMIT, LIMIT)


class NoDescriptor(socket.socket):
    """A listening socket that has no descriptor for the first connection."""

    refused = 0

    def accept(self) -> tuple[socket.socket, object]:
        if not self.refused:
            self.refused += 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


async def test_accepting_resumes_after_descriptors_were_exhausted(
    listener: Listener, sock: socket.socket, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "_RETRY_SECONDS", 0.01)
    with NoDescriptor(fileno=os.dup(sock.fileno())) as exhausted:
        await listener.listen(exhausted)
        clients = Clients(sock.getsockname())
        _, writer = await clients.get()
        writer.close()
    assert exhausted.refused == 1
    assert [vars(each)["reason"] for each in caplog.records if each.levelno == logging.WARNING] == [
        "Too many open files"
    ]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def test_connections_in_their_tls_handshake_count(
    listener: Listener, server: DrainingServer, sock: socket.socket, authority: Authority, tmp_path: Path
) -> None:
    issued = authority.issue()
    (tmp_path / "chain").write_text(issued.chain, encoding="utf-8")
    (tmp_path / "key").write_text(issued.key, encoding="utf-8")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    await listener.listen(sock, context)
    clients = Clients(sock.getsockname())
    for _ in range(LIMIT + 1):
        await clients.open()
    await wait_until(lambda: server.connection_count == LIMIT)
    assert waiting_connections(sock) == 1
    clients.opened[0][1].write(b"this is not TLS\r\n\r\n")
    await wait_until(lambda: waiting_connections(sock) == 0)
    assert server.connection_count == LIMIT
    await listener.close()
    assert server.connection_count == 0
    for _, writer in clients.opened:
        writer.close()
