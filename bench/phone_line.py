"""The line of a phone: a proxy with a limited rate, a round-trip time, and connections that break.

All connections share the line, as those of one phone do. A connection needs a round trip before its first byte, for the
TCP handshake. What the phone sends is limited in rate; what it receives is only delayed, since responses are small.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

_CHUNK_BYTES = 4096
_BUFFER_SECONDS = 0.03
"""How much the line takes in advance; without a buffer it would idle whenever this process is late."""
_SOCKET_BUFFER_BYTES = 32 * 1024
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER


@dataclass(slots=True)
class PhoneLine:
    """A line and what went through it."""

    bytes_per_second: float
    round_trip_seconds: float
    reset_after_bytes: int | None = None
    """Each time the phone has sent this many bytes, all connections are reset, as when it enters another network."""
    sent_bytes: int = 0
    resets: int = 0
    """How many connections were reset."""
    _free_at: float = 0.0
    _open: set[asyncio.Event] = field(default_factory=set)
    """One for each connection; set when the connection is reset."""

    @contextlib.asynccontextmanager
    async def to(self, address: str) -> AsyncIterator[str]:
        """Listen for connections to a server, `http://HOST:PORT`; yield the address to use instead."""
        host, _, port = address.removeprefix("http://").rpartition(":")
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await self._connect(reader, writer, host, int(port))
            except asyncio.CancelledError:
                pass  # the end; asyncio would log it
            finally:
                tasks.discard(task)
                writer.close()

        with socket.create_server(("127.0.0.1", 0), backlog=128) as sock:
            # Else the kernel takes megabytes from the phone that the line has not carried.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER_BYTES)
            async with await asyncio.start_server(serve, sock=sock, limit=_CHUNK_BYTES):
                yield f"http://127.0.0.1:{sock.getsockname()[1]}"
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
        opened_at = asyncio.get_running_loop().time() + self.round_trip_seconds
        server_reader, server_writer = await asyncio.open_connection(host, port)
        is_reset = asyncio.Event()
        self._open.add(is_reset)
        ends: list[asyncio.Future[Any]] = [
            asyncio.gather(self._carry(reader, server_writer, opened_at), self._carry_back(server_reader, writer)),
            asyncio.ensure_future(is_reset.wait()),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open.discard(is_reset)
            for each in ends:
                each.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            if is_reset.is_set():
                self.resets += 1
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
                writer.transport.abort()
            server_writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opened_at: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(opened_at - loop.time())
        while data := await reader.read(_CHUNK_BYTES):
            now = loop.time()
            self._free_at = max(self._free_at, now) + len(data) / self.bytes_per_second
            _write_at(self._free_at + self.round_trip_seconds / 2, writer, data)
            self._count(len(data))
            if self._free_at - now > _BUFFER_SECONDS:
                await asyncio.sleep(self._free_at - now - _BUFFER_SECONDS / 2)
        loop.call_at(self._free_at + self.round_trip_seconds / 2, _write_end, writer)

    def _count(self, sent_bytes: int) -> None:
        before, self.sent_bytes = self.sent_bytes, self.sent_bytes + sent_bytes
        if self.reset_after_bytes and self.sent_bytes // self.reset_after_bytes > before // self.reset_after_bytes:
            for is_reset in self._open:
                is_reset.set()

    async def _carry_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(1 << 16):
            _write_at(loop.time() + self.round_trip_seconds / 2, writer, data)
        await asyncio.sleep(self.round_trip_seconds / 2)
        _write_end(writer)


def _write_at(when: float, writer: asyncio.StreamWriter, data: bytes) -> None:
    asyncio.get_running_loop().call_at(when, _write, writer, data)


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)


def _write_end(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        if not writer.is_closing() and writer.can_write_eof():
            writer.write_eof()
