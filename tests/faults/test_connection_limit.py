"""Clients open more connections than the signer may have open files: it serves other clients and its operator."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.harness.local_cloud import local_cloud
from tests.harness.signer import Signer, signer
from tests.harness.waiting import deadline, wait_until

pytestmark = pytest.mark.slow

MAX_OPEN_FILES = 256
MAX_CONNECTIONS = 192
"""Three quarters of them."""
INCOMPLETE = b"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
CONFIG = """
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{r: {{type: assume_role, endpoint: "{sts}"}}, {more}}}
apps:
  a: {{key_prefix: a/, bucket: photos, region: cn-hangzhou, credentials: {credentials}}}
"""


@contextlib.contextmanager
def crowd(url: str, count: int, request: bytes = b"") -> Iterator[list[socket.socket]]:
    """Open connections, which only the kernel may have accepted, and send the same bytes on each."""
    address = urlsplit(url)
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection((address.hostname, address.port)))
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


@pytest.mark.parametrize("standard", ["0", "1"])
async def test_more_connections_than_open_files(standard: str, tmp_path: Path) -> None:
    config = tmp_path / "signer.yaml"
    limited = ("prlimit", f"--nofile={MAX_OPEN_FILES}:{MAX_OPEN_FILES}")
    environ = {"OSS_SIGNER_STANDARD_HTTP": standard}
    connector = aiohttp.TCPConnector(force_close=True)
    async with deadline(), aiohttp.ClientSession(connector=connector) as session, local_cloud(session) as cloud:
        more = f'r2: {{type: assume_role, endpoint: "{cloud.sts}"}}, r3: {{type: assume_role, endpoint: "{cloud.sts}", session_name: third}}'
        first, second, third = (CONFIG.format(sts=cloud.sts, more=more, credentials=role) for role in ("r", "r2", "r3"))
        config.write_text(first, encoding="utf-8")
        async with signer(session, config, prefix=limited, environ=environ) as running:
            # Idle connections are closed for the others.
            with crowd(running.public, 2 * MAX_OPEN_FILES):
                await wait_until(lambda: running.log("no room for more connections"))
                assert await running.upload_status("a") == 201
                await operate(running, config, second)
                assert await running.metric("connections") <= MAX_CONNECTIONS
                assert await running.metric("closed_idle_connections_total") > MAX_OPEN_FILES
                assert await running.upload_status("a") == 201
            # Busy ones are not: their requests are incomplete.
            with crowd(running.public, MAX_OPEN_FILES, INCOMPLETE) as clients:
                await wait_until(lambda: _equals(running, "connections", MAX_CONNECTIONS))
                waiting = asyncio.create_task(running.upload_status("a"))
                await wait_until(lambda: _is_positive(running, "waiting_connections"))
                await operate(running, config, third)
                for client in clients:
                    client.close()
                assert await waiting == 201
            await wait_until(lambda: _equals(running, "connections", 0))
            assert len(running.log("no room for more connections")) == 1
            assert [entry for entry in running.log() if entry["level"] in ("error", "critical")] == []


async def _equals(running: Signer, name: str, value: float) -> bool:
    return await running.metric(name) == value


async def _is_positive(running: Signer, name: str) -> bool:
    return await running.metric(name) > 0
