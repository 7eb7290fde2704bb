"""Listeners: TCP and unix sockets, TCP_USER_TIMEOUT, draining and closing, behind both HTTP adapters."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from signer.http.dispatch import Dispatcher
from signer.http.draining_server import DrainingServer
from signer.http.reply import TEXT, Reply
from signer.http.request_log import RequestLog
from signer.http.router import Router
from signer.listen_address import ListenAddress
from signer.revision import Context
from signer.server import listeners
from signer.server.listeners import Listener, socket_url
from signer.server.sockets import listening_socket
from tests.harness.http_service import ADAPTERS, running_service
from tests.harness.waiting import deadline, wait_until

EMPTY = "version: 1\ncredentials: {}\napps: {}\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Handler:
    """Answers `/` at once, and `/slow` when it is released."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.release = asyncio.Event()

    async def respond(self, context: Context) -> Reply:
        return Reply(200, f"client {context.client_address}".encode(), TEXT)

    async def respond_late(self, context: Context) -> Reply:
        self.reached.set()
        await self.release.wait()
        return await self.respond(context)

    async def respond_with_much(self, _context: Context) -> Reply:
        return Reply(200, b"x" * 2**20, TEXT)


@pytest.fixture
async def handler() -> Handler:
    return Handler()


@pytest.fixture(params=sorted(ADAPTERS))
async def server(request: pytest.FixtureRequest, handler: Handler) -> AsyncIterator[DrainingServer]:
    router = Router()
    router.add("GET", "/", handler.respond)
    router.add("GET", "/slow", handler.respond_late)
    router.add("GET", "/much", handler.respond_with_much)
    async with running_service(EMPTY) as service:
        yield ADAPTERS[request.param](Dispatcher(service, router, RequestLog()))


@pytest.fixture
def sockets() -> Iterator[contextlib.ExitStack]:
    """Closes the listening sockets after the listener."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
async def listener(server: DrainingServer, sockets: contextlib.ExitStack) -> AsyncIterator[Listener]:
    listener = Listener(server, name="public", max_connections=1000)
    try:
        yield listener
    finally:
        await listener.close()


def tcp_socket(sockets: contextlib.ExitStack) -> socket.socket:
    return sockets.enter_context(listening_socket(ListenAddress("127.0.0.1", 0)))


@pytest.fixture
async def url(listener: Listener, sockets: contextlib.ExitStack) -> str:
    sock = tcp_socket(sockets)
    await listener.listen(sock)
    return socket_url(sock)


@contextlib.asynccontextmanager
async def connection(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    async with deadline():
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield reader, writer
        finally:
            writer.close()


async def response_of(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


async def test_a_unix_socket_is_served(listener: Listener, sockets: contextlib.ExitStack, tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    sock = sockets.enter_context(listening_socket(ListenAddress.parse(f"unix:{path}")))
    await listener.listen(sock)
    assert socket_url(sock) == f"unix:{path}"
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.get("http://localhost/", headers={"X-Forwarded-For": "203.0.113.7"}) as response,
    ):
        assert await response.text() == "client 203.0.113.7"


async def test_several_sockets_are_served(listener: Listener, url: str, sockets: contextlib.ExitStack) -> None:
    sock = tcp_socket(sockets)
    await listener.listen(sock)
    async with aiohttp.ClientSession() as session:
        for each in (url, socket_url(sock)):
            async with session.get(each) as response:
                assert response.status == 200


async def test_an_ipv4_client_of_an_ipv6_socket_has_its_ipv4_address(
    listener: Listener, sockets: contextlib.ExitStack
) -> None:
    try:
        sock = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError):
        pytest.skip("no IPv6 on this machine")
    await listener.listen(sockets.enter_context(sock))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert await response.text() == "client 127.0.0.1"


async def test_a_draining_connection_serves_one_more_request(listener: Listener, url: str) -> None:
    async with connection(url) as (reader, writer):
        writer.write(REQUEST)
        head, _body = await response_of(reader)
        assert b"connection: close" not in head.lower()
        draining = asyncio.create_task(listener.drain(seconds=60, skip=asyncio.Event()))
        await asyncio.sleep(0)
        writer.write(REQUEST)
        head, body = await response_of(reader)
        assert (b"connection: close" in head.lower(), body) == (True, b"client 127.0.0.1")
        assert await reader.read() == b""
        await draining
    with pytest.raises(ConnectionRefusedError):
        async with connection(url):
            pass


@pytest.mark.parametrize("is_skipped", [True, False])
async def test_draining_ends_with_its_time_or_at_once(listener: Listener, url: str, is_skipped: bool) -> None:
    skip = asyncio.Event()
    if is_skipped:
        skip.set()
    async with connection(url):
        await listener.drain(seconds=3600 if is_skipped else 0, skip=skip)


async def test_a_request_in_progress_is_finished_before_the_listener_closes(
    listener: Listener, url: str, handler: Handler
) -> None:
    async with connection(url) as (reader, writer):
        writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await handler.reached.wait()
        closing = asyncio.create_task(listener.close())
        await asyncio.sleep(0)
        handler.release.set()
        assert (await response_of(reader))[1] == b"client 127.0.0.1"
        await closing


@pytest.mark.parametrize("is_set_before", [True, False])
async def test_a_request_in_progress_is_aborted_when_closing_has_to_be_quick(
    server: DrainingServer,
    sockets: contextlib.ExitStack,
    handler: Handler,
    is_set_before: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listeners, "_SHUTDOWN_SECONDS", 3600)
    listener = Listener(server, name="public", max_connections=1000)
    sock = tcp_socket(sockets)
    await listener.listen(sock)
    skip = asyncio.Event()
    async with connection(socket_url(sock)) as (reader, writer):
        writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await handler.reached.wait()
        if is_set_before:
            skip.set()
        closing = asyncio.create_task(listener.close(skip=skip))
        await asyncio.sleep(0)
        skip.set()
        assert await reader.read() == b""
        await closing


async def test_accepted_connections_inherit_the_user_timeout(listener: Listener, sockets: contextlib.ExitStack) -> None:
    """Also those of sockets that another process created, as systemd does."""
    sock = sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
    accepting = sockets.enter_context(sock.dup())
    await listener.listen(sock)
    await listener.close()
    client = sockets.enter_context(socket.create_connection(accepting.getsockname()))
    assert client.fileno() >= 0
    accepted = sockets.enter_context(accepting.accept()[0])
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000


async def test_a_client_that_never_reads_is_disconnected(
    listener: Listener, server: DrainingServer, sockets: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "_USER_TIMEOUT_MILLISECONDS", 500)
    sock = tcp_socket(sockets)
    await listener.listen(sock)
    client = sockets.enter_context(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(sock.getsockname())
    client.sendall(b"GET /much HTTP/1.1\r\nHost: a\r\n\r\n" * 8)
    await wait_until(lambda: not server.has_no_connections.is_set())
    async with deadline():
        await server.has_no_connections.wait()
