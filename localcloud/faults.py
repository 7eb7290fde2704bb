"""Faults, switched over HTTP while it runs: `PUT /-/faults` with `{"sts": {"kind": "latency", "seconds": 2}}`.

| kind           | what happens                                                        | members          |
|----------------|---------------------------------------------------------------------|------------------|
| latency        | each answer comes late                                              | seconds          |
| hang           | no answer at all                                                    |                  |
| reset          | the connection is dropped                                           |                  |
| status         | an error of that status with an HTML body, as a broken proxy's      | status           |
| throttling     | the service's own "too many requests"                               |                  |
| malformed      | 200 with a body that is neither JSON nor XML                        |                  |
| truncated      | half of the answer, then the connection is closed                   |                  |
| expired        | what metadata or STS issues has already ended                       |                  |
| nearly_expired | what metadata or STS issues ends very soon                          | seconds          |
| clock          | the server's clock is off: its Date header, issued times and checks | offset_seconds   |
| revoked        | every token issued until now is invalid from now on                 |                  |
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
    "truncated": set(),
    "expired": set(),
    "nearly_expired": {"seconds"},
    "revoked": set(),
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
        self._world.life_fault = {
            server: fault.get("seconds", -60)
            for server, fault in wanted.items()
            if fault["kind"] in ("expired", "nearly_expired")
        }
        if any(fault["kind"] == "revoked" for fault in wanted.values()):
            self._world.tokens.clear()
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
            if kind == "truncated":
                return await _half(request, response)
            response.headers["Date"] = http_date(self._world.now(server).isoformat())
            return response

        return faulty


async def _half(request: web.Request, whole: web.StreamResponse) -> web.StreamResponse:
    body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b"  "
    half = web.StreamResponse(status=whole.status, headers={"Content-Type": "application/json"})
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half


def _throttled(server: str, request: web.Request) -> web.Response:
    if server == "oss":
        error = OssError(503, "DownloadTrafficRateLimitExceeded", "Please reduce your request rate.")
        return error_response(error, "0" * 24, request.host)
    body = {"Code": "Throttling.User", "Message": "Request was denied due to user flow control.", "RequestId": "0"}
    return web.json_response(body, status=400)
