"""Clients that pipeline requests and never read a response are disconnected by the kernel."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.harness.signer import Signer, signer
from tests.harness.waiting import DEADLINE_SECONDS, wait_until
from tests.https.certificates import Authority

pytestmark = pytest.mark.slow

CLIENTS = 100
REQUEST = b"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
REQUESTS = 1000
"""Their responses are larger than all buffers between the signer and a client."""
RECEIVE_BUFFER_BYTES = 4096
CONFIG = """
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"{tls}}}
credentials: {{r: {{type: static, access_key_id: LTAI-local, access_key_secret: secret}}}}
apps: {{a: {{key_prefix: a/, bucket: photos, region: cn-hangzhou, credentials: r}}}}
"""


def connect(url: str, context: ssl.SSLContext | None) -> socket.socket:
    """Open a connection with a small receive buffer."""
    address = urlsplit(url)
    assert address.hostname is not None
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    client.settimeout(DEADLINE_SECONDS)
    client.connect((address.hostname, address.port))
    return client if context is None else context.wrap_socket(client, server_hostname=address.hostname)


def count_responses(client: socket.socket) -> int:
    """Read until the connection ends, and return how many responses have arrived."""
    received = bytearray()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := client.recv(2**16):
            received += data
    return received.count(b"HTTP/1.1 201 Created\r\n")


async def disconnect_clients(running: Signer, context: ssl.SSLContext | None) -> float:
    """Return the seconds from the requests of all clients until none is connected."""
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(CLIENTS):
            clients.append(stack.enter_context(await asyncio.to_thread(connect, running.public, context)))

        async def are_open(count: int) -> bool:
            return await running.metric("connections") == count

        await wait_until(lambda: are_open(CLIENTS))
        started_at = time.monotonic()
        for client in clients:
            await asyncio.to_thread(client.sendall, REQUEST * REQUESTS)
        await wait_until(lambda: are_open(0))
        seconds = time.monotonic() - started_at
        # An idle connection would have got all responses before its keep-alive time ended.
        assert max([await asyncio.to_thread(count_responses, client) for client in clients]) < REQUESTS
        return seconds


async def disconnect_clients_of_both_adapters(directory: Path, authority: Authority | None) -> tuple[float, float]:
    """Return the seconds of the fast and of the standard adapter; with an authority, clients use TLS."""
    context, tls = None, ""
    if authority is not None:
        issued, context = authority.issue(), authority.client_context()
        for name, text in (("chain.pem", issued.chain), ("key.pem", issued.key)):
            (directory / name).write_text(text, encoding="utf-8")
            (directory / name).chmod(0o600)
        tls = f", tls: {{certificate: {directory}/chain.pem, key: {directory}/key.pem}}"
    config = directory / ("plain.yaml" if authority is None else "tls.yaml")
    config.write_text(CONFIG.format(tls=tls), encoding="utf-8")
    async with (
        aiohttp.ClientSession() as session,
        signer(session, config, environ={"OSS_SIGNER_STANDARD_HTTP": "0"}) as fast,
        signer(session, config, environ={"OSS_SIGNER_STANDARD_HTTP": "1"}) as standard,
    ):
        return await asyncio.gather(disconnect_clients(fast, context), disconnect_clients(standard, context))


async def test_clients_that_never_read_are_disconnected(tmp_path: Path) -> None:
    plain, tls = await asyncio.gather(
        disconnect_clients_of_both_adapters(tmp_path, None), disconnect_clients_of_both_adapters(tmp_path, Authority())
    )
    for name, seconds in (("plain", plain), ("TLS", tls)):
        print(f"{name}: {CLIENTS} of {CLIENTS} disconnected, fast {seconds[0]:.1f} s, standard {seconds[1]:.1f} s")
