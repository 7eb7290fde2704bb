"""Runs a redis-sentinel that watches a master and its replica."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from tests.harness.ports import reserve_port
from tests.harness.processes import launch
from tests.harness.programs import require_program
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import wait_until

MASTER_NAME = "main"
_CONFIGURATION = """
bind 127.0.0.1
dir {directory}
sentinel monitor main 127.0.0.1 {master} 1
sentinel down-after-milliseconds main 500
sentinel failover-timeout main 5000
"""
_TLS = """
port 0
tls-port {port}
tls-cert-file {certificate}
tls-key-file {key}
tls-ca-cert-file {certificate}
tls-auth-clients no
tls-replication yes
"""


@dataclass(frozen=True)
class RedisSentinel:
    """A running redis-sentinel."""

    port: int
    unused_port: int
    """Nothing listens there."""
    password: str = ""
    ca_certificate: Path | None = None
    """With TLS only."""

    @property
    def url(self) -> str:
        """The URL of the master, with a second sentinel that is down."""
        scheme, options = "redis+sentinel", f"?sentinel_password={self.password}" if self.password else ""
        if self.ca_certificate is not None:
            scheme, options = "rediss+sentinel", f"?ssl_ca_certs={self.ca_certificate}"
        return f"{scheme}://127.0.0.1:{self.unused_port},127.0.0.1:{self.port}/{MASTER_NAME}/0{options}"

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        """Connect to it."""
        async with Redis(port=self.port, password=self.password or None) as redis:
            yield redis

    async def has_replica(self) -> bool:
        """Return whether a failover is possible."""
        try:
            async with self.client() as redis:
                replicas = await redis.sentinel_slaves(MASTER_NAME)
        except Exception:
            return False
        return any(each["master-link-status"] == "ok" for each in replicas)

    async def fail_over(self) -> None:
        """Begin a failover although the master works."""
        async with self.client() as redis:
            await redis.sentinel_failover(MASTER_NAME)

    async def wait_for_master(self, server: RedisServer) -> None:
        """Return once it names this server as the master, and the server accepts writes."""

        async def is_master() -> bool:
            async with self.client() as redis:
                masters: Any = await redis.sentinel_masters()
            return masters[MASTER_NAME]["port"] == server.port and await server.is_master()

        await wait_until(is_master)


@contextlib.asynccontextmanager
async def redis_sentinel(
    directory: Path, master: RedisServer, replica: RedisServer, *, password: str = ""
) -> AsyncIterator[RedisSentinel]:
    """Make a server the replica of another one, and run a sentinel that fails over alone."""
    await replica.demote(master)
    sentinel = RedisSentinel(reserve_port(), reserve_port(), password)
    lines = f"port {sentinel.port}\n" + (f"requirepass {password}\n" if password else "")
    async with _launched(directory, master, lines):
        await wait_until(sentinel.has_replica)
        yield sentinel


@contextlib.asynccontextmanager
async def tls_sentinel(
    directory: Path, master: RedisServer, certificate: Path, key: Path
) -> AsyncIterator[RedisSentinel]:
    """Run a sentinel with TLS before a master with TLS; it cannot fail over."""
    sentinel = RedisSentinel(reserve_port(), reserve_port(), ca_certificate=certificate)
    async with _launched(directory, master, _TLS.format(port=sentinel.port, certificate=certificate, key=key)):
        yield sentinel


@contextlib.asynccontextmanager
async def _launched(directory: Path, master: RedisServer, lines: str) -> AsyncIterator[None]:
    directory.mkdir()
    file = directory / "sentinel.conf"
    file.write_text(_CONFIGURATION.format(directory=directory, master=master.port) + lines, encoding="utf-8")
    async with launch(require_program("redis-sentinel"), file) as process:
        await wait_until(lambda: any("+monitor" in line for line in process.output))
        yield
