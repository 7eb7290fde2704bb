"""The three servers, started together on sockets of their own."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from localcloud.control import Control
from localcloud.faults import Faults
from localcloud.metadata import Metadata
from localcloud.objects import Objects
from localcloud.oss import Oss
from localcloud.sts import Sts
from localcloud.world import World


@contextlib.asynccontextmanager
async def running(world: World, data: Path, host: str, ports: dict[str, int]) -> AsyncIterator[dict[str, str]]:
    """Serves while the block runs; yields each server's address by its name. Port 0 takes a free one."""
    objects = Objects(data)
    faults = Faults(world)
    control = Control(world, objects, faults)
    servers: dict[str, Metadata | Sts | Oss] = {
        "metadata": Metadata(world),
        "sts": Sts(world),
        "oss": Oss(world, objects),
    }
    addresses: dict[str, str] = {}
    async with contextlib.AsyncExitStack() as stack:
        for name, server in servers.items():
            app = web.Application(middlewares=[faults.middleware(name)], client_max_size=0)
            app.add_routes([*control.routes(), *server.routes()])
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            sock = socket.create_server((host, ports.get(name, 0)), backlog=1024)
            await web.SockSite(runner, sock).start()
            addresses[name] = f"http://{host}:{sock.getsockname()[1]}"
        yield addresses
