"""Starts the four servers, each on a socket of its own."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from localcloud.alipay import Alipay
from localcloud.calls import CallLog
from localcloud.control import Control
from localcloud.douyin import Douyin
from localcloud.faults import Faults
from localcloud.grants import Grants
from localcloud.http_dates import http_date
from localcloud.media_check import MediaChecks
from localcloud.metadata import Metadata
from localcloud.multipart_store import MultipartUploads
from localcloud.objects import Objects
from localcloud.oss import Oss
from localcloud.sts import Sts
from localcloud.wechat import WeChat
from localcloud.world import World

_BACKLOG = 4096
_MAX_LINE_BYTES = 64 * 1024
"""The SDK sends an OIDC token of up to 20,000 characters in the query."""


@contextlib.asynccontextmanager
async def serve_all(
    world: World, data: Path, parts: Path, host: str, ports: dict[str, int], tls: ssl.SSLContext | None = None
) -> AsyncIterator[dict[str, str]]:
    """Serve inside the block; yield each server's address by name. Port 0 means a free port.

    Args:
        data: the directory of the objects.
        parts: the directory of uploaded parts, which are of no use after the process has ended.
        tls: for all servers but that of metadata, which is plain HTTP in the cloud too.
    """
    objects = Objects(data)
    faults = Faults(world)
    calls = CallLog()
    control = Control(world, objects, faults, calls)
    grants = Grants(world)
    wechat = WeChat(world)
    media_checks = MediaChecks(world, wechat)
    douyin, alipay = Douyin(world), Alipay(world)
    servers: dict[str, Metadata | Sts | Oss | WeChat] = {
        "metadata": Metadata(world),
        "sts": Sts(world),
        "oss": Oss(world, objects, MultipartUploads(parts)),
        "wechat": wechat,
    }

    async def named_on_wechat(request: web.Request) -> tuple[str, str]:
        for platform in (wechat, douyin, alipay):
            action, who = await platform.named(request)
            if action:
                return action, who
        return "", ""

    async def date(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = http_date(world.now().isoformat())

    addresses: dict[str, str] = {}
    async with contextlib.AsyncExitStack() as stack:
        for name, server in servers.items():
            app = web.Application(
                middlewares=[
                    calls.middleware(name, named_on_wechat if server is wechat else server.named),
                    faults.middleware(name),
                ],
                client_max_size=0,
            )
            app.add_routes([*control.routes(), *grants.routes(), *wechat.control_routes()])
            app.add_routes([*douyin.control_routes(), *alipay.control_routes()])
            app.add_routes([*media_checks.control_routes(), *server.routes()])
            if server is wechat:
                app.add_routes([*media_checks.routes(), *douyin.routes(), *alipay.routes()])
            app.on_response_prepare.append(date)
            runner = web.AppRunner(
                app,
                access_log=None,
                shutdown_timeout=0.5,
                handler_cancellation=True,  # a client that disconnects ends the wait of a fault
                max_line_size=_MAX_LINE_BYTES,
                auto_decompress=False,  # OSS stores a body as it is, whatever its Content-Encoding
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            sock = socket.create_server((host, ports.get(name, 0)), backlog=_BACKLOG)
            context = None if name == "metadata" else tls
            await web.SockSite(runner, sock, backlog=_BACKLOG, ssl_context=context).start()
            scheme = "http" if context is None else "https"
            addresses[name] = f"{scheme}://{host}:{sock.getsockname()[1]}"
        yield addresses
