"""Many clients at once, in a process of their own: `python -m tests.e2e.client_crowd URL CLIENTS`.

Each client has its own connection and sends one request, without a retry. The process prints two JSON lines: one when
all requests are sent, with the number of responses so far, and one when all responses are received.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

from tests.harness.processes import Process, launch
from tests.harness.programs import unavailable

_CONCURRENT_CONNECTS = 500


@contextlib.contextmanager
def open_files_limit(count: int) -> Iterator[None]:
    """Let processes that are launched in the block open this many files, or skip the test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        unavailable(f"a process may open {hard} files here, and this test needs {count}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.asynccontextmanager
async def client_crowd(url: str, count: int) -> AsyncIterator[Process]:
    """Run this many clients, in a process of their own."""
    async with launch(sys.executable, "-m", "tests.e2e.client_crowd", url, count) as process:
        yield process


class Client(asyncio.Protocol):
    """One request; `outcome` becomes the status of its response, or the reason why there is none."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._response = b""
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._response += data

    def connection_lost(self, exc: Exception | None) -> None:
        status = self._response.split(b" ", 2)[1].decode() if self._response.startswith(b"HTTP/1.1 ") else ""
        self.outcome.set_result(status or (type(exc).__name__ if exc is not None else "no response"))


async def main(url: str, count: int) -> None:
    """Send all requests, and print the responses."""
    loop = asyncio.get_running_loop()
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 0
    target = f"{address.path}?{address.query}"
    request = f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode()
    slots = asyncio.Semaphore(_CONCURRENT_CONNECTS)

    async def send() -> asyncio.Future[str]:
        async with slots:
            try:
                _, client = await loop.create_connection(lambda: Client(request), host, port)
            except OSError as error:
                failed: asyncio.Future[str] = loop.create_future()
                failed.set_result(type(error).__name__)
                return failed
            return client.outcome

    started = time.monotonic()
    outcomes = await asyncio.gather(*(send() for _ in range(count)))
    responses = sum(each.done() for each in outcomes)
    print(json.dumps({"sent_in_seconds": time.monotonic() - started, "responses": responses}), flush=True)
    print(json.dumps({"outcomes": Counter(await asyncio.gather(*outcomes))}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
