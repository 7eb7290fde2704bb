"""A door before a server: calls wait at it until it is opened, so that a test says when an answer may come."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit


class Gate:
    """`url` is the server's address through the gate."""

    def __init__(self) -> None:
        self.url = ""
        self.arrivals: list[float] = []
        """When each connection came, by the monotonic clock, in seconds."""
        self._opened = asyncio.Event()
        self._came = asyncio.Condition()

    def open(self) -> None:
        self._opened.set()

    async def wait_for(self, connections: int) -> None:
        """Returns once so many have come."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.arrivals) >= connections)

    async def pass_through(self) -> None:
        """Returns once the gate is open."""
        async with self._came:
            self.arrivals.append(time.monotonic())
            self._came.notify_all()
        await self._opened.wait()


@contextlib.asynccontextmanager
async def gate(url: str) -> AsyncIterator[Gate]:
    """A shut gate before the server at `url`."""
    shut = Gate()
    address = urlsplit(url)
    tasks: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await shut.pass_through()
            there_reader, there_writer = await asyncio.open_connection(address.hostname, address.port)
            await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer))

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(come(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0, backlog=1024)
    shut.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield shut
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
