"""Clients that send requests all the time, some on kept connections and some on a new one each; none retries."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.harness.waiting import wait_until

_TIMEOUT_SECONDS = 60.0
_KEEPING, _OPENING = 16, 4
"""The number of clients of each kind."""
_PAUSE_SECONDS = 0.12
"""Between two requests of one client; 20 clients send about 160 requests a second."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without a valid response."""

    client_port: int
    """The client's port, or 0 without a connection."""
    reason: str


@dataclass
class Load:
    """The clients and what they have observed."""

    port: int
    path: str
    responses: int = 0
    slowest_seconds: float = 0.0
    closes_announced: int = 0
    """Responses with `Connection: close` to clients that keep their connections."""
    failures: list[Failure] = field(default_factory=list)

    def reset(self) -> None:
        """Forget what was observed."""
        self.responses, self.slowest_seconds, self.closes_announced, self.failures = 0, 0.0, 0, []

    async def wait_for_more(self, responses: int) -> None:
        """Return once this many further responses have arrived."""
        expected = self.responses + responses
        await wait_until(lambda: self.responses >= expected)


@contextlib.asynccontextmanager
async def load(port: int, path: str) -> AsyncIterator[Load]:
    """Run clients until the end of the block."""
    made = Load(port, path)
    clients = [asyncio.create_task(_client(made, keeps=number < _KEEPING)) for number in range(_KEEPING + _OPENING)]
    try:
        yield made
    finally:
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def _client(load: Load, *, keeps: bool) -> None:
    connection: _Connection | None = None
    try:
        while True:
            started = time.monotonic()
            try:
                if connection is None or connection.reader.at_eof():
                    # It was closed while idle, which is not a failure: the client opens another one.
                    if connection is not None:
                        connection.writer.close()
                    connection = None
                    connection = await _open(load.port)
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    closes = await connection.request(load.path, keeps=keeps)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                load.failures.append(Failure(0 if connection is None else connection.client_port, repr(error)))
                if connection is not None:
                    connection.writer.close()
                connection = None
            else:
                load.responses += 1
                load.slowest_seconds = max(load.slowest_seconds, time.monotonic() - started)
                load.closes_announced += closes and keeps
                if closes:
                    connection.writer.close()
                    connection = None
            await asyncio.sleep(_PAUSE_SECONDS)
    finally:
        if connection is not None:
            connection.writer.close()


@dataclass
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    client_port: int

    async def request(self, path: str, *, keeps: bool) -> bool:
        """Send a request, and return whether the connection ends with the response; the request may fail with an error."""
        kept = "" if keeps else "Connection: close\r\n"
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: signer\r\n{kept}\r\n".encode())
        await self.writer.drain()
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        if not head.startswith("http/1.1 200 "):
            raise ValueError(head.split("\r\n", 1)[0])
        [length] = [line.partition(":")[2] for line in head.splitlines() if line.startswith("content-length:")]
        await self.reader.readexactly(int(length))
        return "connection: close" in head


async def _open(port: int) -> _Connection:
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return _Connection(reader, writer, writer.get_extra_info("sockname")[1])
