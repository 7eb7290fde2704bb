"""Clients open more connections than the signer may have open files: it serves other clients and its operator."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.harness.local_cloud import local_cloud
from tests.harness.signer import Signer, signer
from tests.harness.waiting import deadline, wait_until
from tests.https.certificates import Authority

pytestmark = pytest.mark.slow

MAX_OPEN_FILES = 256
MAX_CONNECTIONS = 192
"""Three quarters of them."""
COMPLETE = b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
INCOMPLETE = b"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
CONFIG = """
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"{tls}}}
credentials: {{r: {{type: assume_role, endpoint: "{sts}"}}, {more}}}
apps:
  a: {{key_prefix: a/, bucket: photos, region: cn-hangzhou, credentials: {credentials}}}
"""


@contextlib.contextmanager
def crowd(url: str, count: int, context: ssl.SSLContext | None, request: bytes = b"") -> Iterator[list[socket.socket]]:
    """Open connections that never read, and send the same bytes on each."""
    address = urlsplit(url)
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection((address.hostname, address.port)))
            if context is not None:
                client = stack.enter_context(context.wrap_socket(client, server_hostname=address.hostname))
            client.sendall(request)
            clients.append(client)
        yield clients


async def operate(running: Signer, config: Path, definitions: str) -> None:
    """Read /healthz, /metrics and /status, and reload with a new role, whose token has to be fetched."""
    async with running.session.get(f"{running.admin}/healthz", headers={"Connection": "close"}) as response:
        assert response.status == 200
    assert await running.metric("max_connections") == MAX_CONNECTIONS
    assert await running.status()
    config.write_text(definitions, encoding="utf-8")
    status, outcome = await running.reload()
    assert status == 200, outcome
    await wait_until(running.is_ready)


@pytest.mark.parametrize(("standard", "has_tls"), [("0", True), ("1", False)])
async def test_more_connections_than_open_files(standard: str, has_tls: bool, tmp_path: Path) -> None:
    authority = Authority()
    issued, context = authority.issue(), authority.client_context() if has_tls else None
    for name, text in (("chain.pem", issued.chain), ("key.pem", issued.key)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o600)
    tls = f", tls: {{certificate: {tmp_path}/chain.pem, key: {tmp_path}/key.pem}}" if has_tls else ""
    config = tmp_path / "signer.yaml"
    limited = ("prlimit", f"--nofile={MAX_OPEN_FILES}:{MAX_OPEN_FILES}")
    environ = {"OSS_SIGNER_STANDARD_HTTP": standard}
    connector = aiohttp.TCPConnector(force_close=True, ssl=context or True)
    async with deadline(), aiohttp.ClientSession(connector=connector) as session, local_cloud(session) as cloud:
        more = f'r2: {{type: assume_role, endpoint: "{cloud.sts}"}}, r3: {{type: assume_role, endpoint: "{cloud.sts}", session_name: third}}'
        first, second, third = (
            CONFIG.format(tls=tls, sts=cloud.sts, more=more, credentials=role) for role in ("r", "r2", "r3")
        )
        config.write_text(first, encoding="utf-8")
        started_at = time.monotonic()
        async with signer(session, config, prefix=limited, environ=environ) as running:
            # Idle connections are closed for the others.
            with crowd(running.public, 2 * MAX_OPEN_FILES, context, COMPLETE):
                await wait_until(lambda: running.log("no room for more connections"))
                assert await running.upload_status("a") == 201
                await operate(running, config, second)
                assert await running.metric("connections") <= MAX_CONNECTIONS
                assert await running.metric("closed_idle_connections_total") > MAX_OPEN_FILES
                assert await running.upload_status("a") == 201
            # Busy ones are not: their requests are incomplete.
            with contextlib.ExitStack() as stack:
                stack.enter_context(crowd(running.public, MAX_CONNECTIONS - 1, context, INCOMPLETE))
                while not await running.metric("waiting_connections"):
                    # In their TLS handshake, or without TLS with incomplete requests.
                    stack.enter_context(crowd(running.public, 8, None, b"" if has_tls else INCOMPLETE))
                waiting = asyncio.create_task(running.upload_status("a"))
                await operate(running, config, third)
            assert await waiting == 201

            async def are_gone() -> bool:
                return await running.metric("connections") == 0

            await wait_until(are_gone)
            warnings = len(running.log("no room for more connections"))
            assert 1 <= warnings <= 1 + (time.monotonic() - started_at) / 60
            assert [entry for entry in running.log() if entry["level"] in ("error", "critical")] == []
