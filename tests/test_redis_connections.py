"""TLS connections to a Redis by name: the certificate must be one for the name, whichever address it has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from signer.redis_client import RedisClient
from signer.redis_errors import RedisUnreachable
from signer.redis_url import parse_redis_url
from tests.harness.ports import reserve_port
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import DEADLINE_SECONDS
from tests.https.certificates import Authority


async def ping(url: str) -> bool:
    client = RedisClient(parse_redis_url(url), max_connections=1)
    try:
        return bool(await client.run(lambda redis: redis.ping(), deadline_seconds=DEADLINE_SECONDS))
    finally:
        await client.close()


async def ping_by_names(port: int, root: Path) -> None:
    options = f"ssl_ca_certs={root}"
    # localhost has the address ::1 as well, where no Redis listens.
    assert await ping(f"rediss://localhost:{port}/0?{options}")
    with pytest.raises(RedisUnreachable):
        await ping(f"rediss://127.0.0.1:{port}/0?{options}")
    assert await ping(f"rediss://127.0.0.1:{port}/0?{options}&ssl_check_hostname=false")
    with pytest.raises(RedisUnreachable):
        await ping(f"rediss://localhost:{port}/0")
    with pytest.raises(RedisUnreachable):
        await ping(f"rediss://localhost:{port}/0?ssl_ca_certs={root.parent}/none")


@pytest.mark.parametrize("new_event_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
async def test_the_certificate_is_one_for_the_name(
    new_event_loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    """The connections use an event loop in a thread, and the server that of the test."""
    authority = Authority()
    issued = authority.issue(["localhost"])
    for name, text in (("root", authority.root_pem), ("chain", issued.chain), ("key", issued.key)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    port = reserve_port()
    files = ("--tls-cert-file", str(tmp_path / "chain"), "--tls-key-file", str(tmp_path / "key"))
    server = RedisServer(tmp_path, ("--port", "0", "--tls-port", str(port), *files, "--tls-auth-clients", "no"))

    def ping_in_loop() -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(ping_by_names(port, tmp_path / "root"))

    await server.start()
    try:
        await asyncio.to_thread(ping_in_loop)
    finally:
        await server.stop()
