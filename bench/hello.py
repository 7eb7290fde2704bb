"""The ceiling: aiohttp on uvloop, one handler that returns a constant. `python -m bench.hello FD FILE`

FD is a socket that listens; FILE is JSON with the `body` and the `headers` to answer every request with. What is POSTed
is read first. No access log.
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
    fd, file = sys.argv[1:]
    answer = json.loads(Path(file).read_text(encoding="utf-8"))
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(socket.socket(fileno=int(fd)), answer["body"].encode(), answer["headers"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
