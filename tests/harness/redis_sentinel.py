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
port {port}
bind 127.0.0.1
dir {directory}
sentinel monitor main 127.0.0.1 {master} 1
sentinel down-after-milliseconds main {down_after_milliseconds}
sentinel failover-timeout main 5000
{more}
"""


@dataclass(frozen=True)
class RedisSentinel:
    """A running redis-sentinel."""

    port: int
    unused_port: int
    """Nothing listens there."""
    password: str

    @property
    def url(self) -> str:
        """The URL of the master, with a second sentinel that is down."""
        options = f"?sentinel_password={self.password}" if self.password else ""
        return f"redis+sentinel://127.0.0.1:{self.unused_port},127.0.0.1:{self.port}/{MASTER_NAME}/0{options}"

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
    directory: Path,
    master: RedisServer,
    replica: RedisServer,
    *,
    down_after_milliseconds: int = 500,
    password: str = "",
) -> AsyncIterator[RedisSentinel]:
    """Make a server the replica of another one, and run a sentinel that fails over alone."""
    await replica.demote(master)
    sentinel = RedisSentinel(reserve_port(), reserve_port(), password)
    directory.mkdir()
    file = directory / "sentinel.conf"
    file.write_text(
        _CONFIGURATION.format(
            port=sentinel.port,
            directory=directory,
            master=master.port,
            down_after_milliseconds=down_after_milliseconds,
            more=f"requirepass {password}" if password else "",
        ),
        encoding="utf-8",
    )
    async with launch(require_program("redis-sentinel"), file):
        await wait_until(sentinel.has_replica)
        yield sentinel
