"""Many clients at once, as a process of their own: `python -m tests.e2e.crowd URL CLIENTS`.

Each client has a connection of its own and asks once, without ever trying again. Prints two JSON lines: one when all
have asked, with how many had been answered by then, and one when all are answered.
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

_CONNECTING_AT_ONCE = 500


@contextlib.contextmanager
def room_for_open_files(count: int) -> Iterator[None]:
    """Processes started inside may open so many files. Skips the test where the system does not allow it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        unavailable(f"a process may open {hard} files here, and this needs {count}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.asynccontextmanager
async def crowd(url: str, count: int) -> AsyncIterator[Process]:
    """So many clients in a process of their own; yields what it prints."""
    async with launch(sys.executable, "-m", "tests.e2e.crowd", url, count) as process:
        yield process


class Client(asyncio.Protocol):
    """One request; `outcome` is the status of its response, or why there is none."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._answer = b""
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer += data

    def connection_lost(self, exc: Exception | None) -> None:
        status = self._answer.split(b" ", 2)[1].decode() if self._answer.startswith(b"HTTP/1.1 ") else ""
        self.outcome.set_result(status or (type(exc).__name__ if exc is not None else "no answer"))


async def main(url: str, count: int) -> None:
    loop = asyncio.get_running_loop()
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 0
    target = f"{address.path}?{address.query}"
    request = f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode()
    connecting = asyncio.Semaphore(_CONNECTING_AT_ONCE)

    async def ask() -> asyncio.Future[str]:
        async with connecting:
            try:
                _, client = await loop.create_connection(lambda: Client(request), host, port)
            except OSError as error:
                failed: asyncio.Future[str] = loop.create_future()
                failed.set_result(type(error).__name__)
                return failed
            return client.outcome

    started = time.monotonic()
    outcomes = await asyncio.gather(*(ask() for _ in range(count)))
    tell({"asked_in_seconds": time.monotonic() - started, "answered": sum(each.done() for each in outcomes)})
    tell({"outcomes": Counter(await asyncio.gather(*outcomes))})


def tell(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
