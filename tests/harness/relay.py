"""A TCP relay before a server: it counts connections, can hold them, and can lead new ones to another server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tests.harness.waiting import wait_until


class Relay:
    """A running relay."""

    def __init__(self, address: str, target: str, *, held: bool) -> None:
        self.address = address
        """Its host and port."""
        self.target = target
        """The URL of the server to which new connections lead."""
        self.arrivals: list[float] = []
        """When each connection arrived, in seconds of the monotonic clock."""
        self._released = asyncio.Event()
        if not held:
            self.release()

    @property
    def url(self) -> str:
        """The server's URL through the relay."""
        return f"http://{self.address}"

    def release(self) -> None:
        """Let the held connections and all later ones through."""
        self._released.set()

    async def wait_for_connections(self, count: int) -> None:
        """Return once this many connections have arrived."""
        await wait_until(lambda: len(self.arrivals) >= count)

    async def admit(self) -> None:
        """Count a connection, and return once it is let through."""
        self.arrivals.append(time.monotonic())
        await self._released.wait()


@contextlib.asynccontextmanager
async def relay(url: str, *, held: bool = False) -> AsyncIterator[Relay]:
    """Run a relay before the server at `url`; with `held`, connections wait for `release()`."""
    tasks: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            await running.admit()
            target = urlsplit(running.target)
            target_reader, target_writer = await asyncio.open_connection(target.hostname, target.port)
            await asyncio.gather(copy(reader, target_writer), copy(target_reader, writer))

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(forward(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=1024)
    running = Relay(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", url, held=held)
    try:
        yield running
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
