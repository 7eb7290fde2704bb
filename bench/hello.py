"""The reference of all figures: aiohttp on uvloop, one handler, a constant body. `python -m bench.hello FD FILE`

FD is a listening socket; FILE is JSON with the `body` and the `headers` of every response. A posted body is read
first. There is no access log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
from pathlib import Path

import uvloop
from aiohttp import web


async def serve(sock: socket.socket, body: bytes, headers: dict[str, str]) -> None:
    """Respond to every request until SIGTERM or SIGINT."""

    async def hello(_request: web.Request) -> web.Response:
        return web.Response(body=body, headers=headers)

    async def read(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, headers=headers)

    application = web.Application()
    application.router.add_get("/hello", hello)
    application.router.add_post("/hello", read)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.SockSite(runner, sock, backlog=4096).start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


def main() -> int:
    """Run the command."""
    fd, file = sys.argv[1:]
    response = json.loads(Path(file).read_text(encoding="utf-8"))
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(socket.socket(fileno=int(fd)), response["body"].encode(), response["headers"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
