"""A TCP proxy before a server that behaves like the connection of a phone: it resets connections, delays data, and stalls."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

_CHUNK_BYTES = 2**18
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds."""


@dataclass
class BadNetwork:
    """A running proxy, and what it has done so far."""

    address: str
    """Its host and port."""
    received_bytes: int = 0
    """From clients, with the headers of requests and the parts of bodies that were lost."""
    connections: int = 0
    resets: int = 0
    stalls: int = 0

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.address.rpartition(":")[2])

    @property
    def url(self) -> str:
        """The server's URL through the proxy."""
        return f"http://{self.address}"


@contextlib.asynccontextmanager
async def bad_network(
    url: str, *, reset_after_bytes: int, delay_seconds: float = 0.0, stall_every: int = 0
) -> AsyncIterator[BadNetwork]:
    """Run the proxy before the server at `url`.

    Args:
        reset_after_bytes: A connection is reset when its client has sent this much.
        delay_seconds: Each piece of data is forwarded after this time.
        stall_every: Every connection whose number, from 1, is a multiple of it stalls when its client has sent half of
            `reset_after_bytes`: nothing more is read or forwarded.
    """
    tasks: set[asyncio.Task[None]] = set()
    target = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.connections += 1
        stalls = stall_every > 0 and running.connections % stall_every == 0
        server_reader, server_writer = await asyncio.open_connection(target.hostname, target.port)
        responses = asyncio.create_task(_copy(server_reader, writer, delay_seconds))
        try:
            sent_bytes = 0
            while data := await reader.read(_CHUNK_BYTES):
                running.received_bytes += len(data)
                sent_bytes += len(data)
                if stalls and sent_bytes >= reset_after_bytes / 2:
                    running.stalls += 1
                    await asyncio.Event().wait()
                if sent_bytes >= reset_after_bytes:
                    running.resets += 1
                    _reset(writer)
                    return
                await asyncio.sleep(delay_seconds)
                server_writer.write(data)
                await server_writer.drain()
        finally:
            responses.cancel()
            server_writer.close()
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await serve(reader, writer)

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(accept(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(start, "127.0.0.1", 0, backlog=1024)
    running = BadNetwork(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield running
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_seconds: float) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_CHUNK_BYTES):
            await asyncio.sleep(delay_seconds)
            writer.write(data)
            await writer.drain()
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
