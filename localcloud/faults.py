"""Faults, switched over HTTP while it runs: `PUT /-/faults` with `{"sts": {"kind": "latency", "seconds": 2}}`.

| kind       | what happens                                                        | members          |
|------------|---------------------------------------------------------------------|------------------|
| latency    | each answer comes late                                              | seconds          |
| hang       | no answer at all                                                    |                  |
| reset      | the connection is dropped                                           |                  |
| status     | an error of that status with an HTML body, as a broken proxy's      | status           |
| throttling | the service's own "too many requests"                               |                  |
| malformed  | 200 with a body that is neither JSON nor XML                        |                  |
| clock      | the server's clock is off: its Date header, issued times and checks | offset_seconds   |
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from localcloud.objects import http_date
from localcloud.oss_errors import OssError, error_response
from localcloud.world import World

SERVERS = ("metadata", "sts", "oss")
KINDS = {
    "latency": {"seconds"},
    "hang": set(),
    "reset": set(),
    "status": {"status"},
    "throttling": set(),
    "malformed": set(),
    "clock": {"offset_seconds"},
}  # fmt: skip

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Faults:
    def __init__(self, world: World) -> None:
        self._world = world
        self.active: dict[str, dict[str, Any]] = {}

    def set(self, wanted: Any) -> None:
        """Replaces all faults. Raises ValueError for what is no fault."""
        if not isinstance(wanted, dict) or set(wanted) - set(SERVERS):
            raise ValueError(f"name servers out of {', '.join(SERVERS)}")
        for fault in wanted.values():
            if not isinstance(fault, dict) or fault.get("kind") not in KINDS:
                raise ValueError(f"a fault has a kind out of {', '.join(KINDS)}")
            if set(fault) - {"kind"} != KINDS[fault["kind"]]:
                raise ValueError(f"{fault['kind']} takes: {', '.join(KINDS[fault['kind']]) or 'nothing more'}")
        self.active = wanted
        self._world.clock_offset = {
            server: timedelta(seconds=fault["offset_seconds"])
            for server, fault in wanted.items()
            if fault["kind"] == "clock"
        }

    def middleware(self, server: str) -> Middleware:
        @web.middleware
        async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
            fault = self.active.get(server)
            if fault is None or request.path.startswith("/-/"):
                return await handler(request)
            kind = fault["kind"]
            if kind == "latency":
                await asyncio.sleep(fault["seconds"])
            elif kind == "hang":
                await asyncio.Event().wait()
            elif kind == "reset":
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()
            elif kind == "status":
                return web.Response(status=fault["status"], text="<html>broken</html>", content_type="text/html")
            elif kind == "throttling":
                return _throttled(server, request)
            elif kind == "malformed":
                return web.Response(text='{"Credentials": <', content_type="application/json")
            response = await handler(request)
            response.headers["Date"] = http_date(self._world.now(server).isoformat())
            return response

        return faulty


def _throttled(server: str, request: web.Request) -> web.Response:
    if server == "oss":
        error = OssError(503, "DownloadTrafficRateLimitExceeded", "Please reduce your request rate.")
        return error_response(error, "0" * 24, request.host)
    body = {"Code": "Throttling.User", "Message": "Request was denied due to user flow control.", "RequestId": "0"}
    return web.json_response(body, status=400)
