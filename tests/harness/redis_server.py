"""Runs redis-server."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis

from tests.harness.ports import reserve_port
from tests.harness.processes import Process, launch
from tests.harness.programs import require_program
from tests.harness.waiting import wait_until


@dataclass
class RedisServer:
    """A redis-server that keeps its address and its data over a restart."""

    directory: Path
    arguments: tuple[str, ...] = ()
    password: str = ""
    port: int = field(default_factory=reserve_port)
    _process: Process | None = None
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def address(self) -> str:
        """Its URL, without a password."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket(self) -> str:
        """The path of its Unix socket."""
        return str(self.directory / "redis.sock")

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        """Connect to its Unix socket."""
        async with Redis(unix_socket_path=self.socket, password=self.password or None) as redis:
            yield redis

    async def start(self) -> None:
        """Start it, and return once it responds."""
        self.directory.mkdir(parents=True, exist_ok=True)
        listen = () if "--tls-port" in self.arguments else ("--port", self.port)
        password = ("--requirepass", self.password) if self.password else ()
        self._process = await self._stack.enter_async_context(
            launch(
                require_program("redis-server"),
                *("--bind", "127.0.0.1", *listen, "--unixsocket", self.socket, "--dir", self.directory),
                *("--appendonly", "yes", "--save", "", "--repl-diskless-sync-delay", "0", "--shutdown-timeout", "0"),
                *(*self.arguments, *password),
            )
        )
        await wait_until(self._responds)

    async def stop(self) -> None:
        """End it."""
        self._signal(signal.SIGCONT)

        def has_ended() -> bool:
            # It ignores SIGTERM while it writes the first file of a new replica.
            self._signal(signal.SIGTERM)
            return self._process is None or self._process.returncode is not None

        await wait_until(has_ended)
        await self._stack.aclose()

    async def kill(self) -> None:
        """End it with SIGKILL."""
        self._signal(signal.SIGKILL)
        await self._stack.aclose()

    def freeze(self) -> None:
        """Stop it from responding; its connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it continue."""
        self._signal(signal.SIGCONT)

    async def is_master(self) -> bool:
        """Return whether it is not a replica."""
        async with self.client() as redis:
            return bool((await redis.info("replication"))["role"] == "master")

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def promote(self) -> None:
        """Make it a master."""
        async with self.client() as redis:
            await redis.replicaof("NO", "ONE")

    async def demote(self, master: RedisServer) -> None:
        """Make it a replica of another server; its connections stay open."""
        async with self.client() as redis:
            await redis.replicaof("127.0.0.1", str(master.port))

    async def _responds(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, "".join(self._process.output)
        try:
            async with self.client() as redis:
                return bool(await redis.ping())
        except Exception:
            return False


@contextlib.asynccontextmanager
async def redis_server(directory: Path) -> AsyncIterator[RedisServer]:
    """Run a redis-server that keeps its data in this directory."""
    server = RedisServer(directory)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
