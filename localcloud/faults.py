"""Faults, switched over HTTP while it runs: `PUT /-/faults` with `{"sts": {"kind": "latency", "seconds": 2}}`.

| kind           | what happens                                                        | members          |
|----------------|---------------------------------------------------------------------|------------------|
| clock          | the server's clock is off: its Date header, issued times and checks | offset_seconds   |
| expired        | what metadata or STS issues has already ended                       |                  |
| nearly_expired | what metadata or STS issues ends very soon                          | seconds          |
| revoked        | every token issued until now is invalid from now on                 |                  |
| latency        | each answer is delayed                                              | seconds          |
| hang           | no answer at all                                                    |                  |
| reset          | the connection is dropped                                           |                  |
| status         | an error of that status with an HTML body, as a broken proxy's      | status           |
| throttling     | the service's own "too many requests"                               |                  |
| malformed      | 200 with a body that is neither JSON nor XML                        |                  |
| truncated      | half of the answer, then the connection is closed                   |                  |

A server may have several faults, as a list: `{"sts": [{"kind": "latency", "seconds": 2}, {"kind": "clock",
"offset_seconds": 600}]}`. Of those that apply to a request, the first four kinds apply first. The others follow in the
order of the list, until one of them responds. So `[{"kind": "reset", "times": 2}, {"kind": "status",
"status": 500, "times": 1}]` drops two connections, then responds 500 once, then works.

Every fault except `revoked` accepts two more members: `probability` (0 to 1; it applies to each request by chance, with
a generator for each server that `PUT /-/faults?seed=N` seeds) and `times` (the number of requests it applies to). A PUT
replaces the faults of all servers. A request that waits because of a removed or replaced fault is dropped at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from localcloud.alipay import PATH as ALIPAY_PATH
from localcloud.alipay import busy_response as alipay_busy
from localcloud.calls import CALL
from localcloud.douyin import PATH as DOUYIN_PATH
from localcloud.douyin import busy_response as douyin_busy
from localcloud.fault_kinds import SERVERS, Fault, parse_faults
from localcloud.oss_errors import OssError, error_response
from localcloud.wechat import busy_response as wechat_busy
from localcloud.world import EFFECTS, Effects, World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_STATE_KINDS = ("clock", "expired", "nearly_expired", "revoked")
"""They change the service's responses; the others act between the service and its client."""


class _Server:
    """The faults of one server, until they are replaced."""

    def __init__(self, given: Any = None, faults: list[Fault] | None = None, generator: Random | None = None) -> None:
        self.given = given
        self.faults = faults or []
        self.generator = generator or Random()  # noqa: S311
        self.replaced = asyncio.Event()

    def effects(self) -> Effects:
        """Return the effects on one request."""
        offset, life_seconds = timedelta(), None
        for fault in self.faults:
            if fault.kind in _STATE_KINDS and fault.applies(self.generator):
                if fault.kind == "clock":
                    offset += timedelta(seconds=fault.number)
                elif fault.kind != "revoked":
                    life_seconds = fault.number if fault.kind == "nearly_expired" else -60.0
        return Effects(offset, life_seconds)


class Faults:
    def __init__(self, world: World) -> None:
        self._world = world
        self._servers = {server: _Server() for server in SERVERS}
        self.waiting = dict.fromkeys(SERVERS, 0)
        """The number of requests that a fault delays, by server."""

    @property
    def active(self) -> dict[str, Any]:
        """The faults, as they were set."""
        return {name: server.given for name, server in self._servers.items() if server.given is not None}

    def set(self, document: Any, seed: str | None = None) -> None:
        """Replace all faults. If one is invalid, raise ValueError and change nothing."""
        faults = parse_faults(document)
        for name, old in self._servers.items():
            generator = Random() if seed is None else Random(f"{seed} {name}")  # noqa: S311
            new = self._servers[name] = _Server(document.get(name), faults.get(name), generator)
            if new.given == old.given:
                new.replaced = old.replaced
            else:
                old.replaced.set()
            if any(fault.kind == "revoked" for fault in new.faults):
                self._world.tokens.clear()

    def middleware(self, name: str) -> Middleware:
        @web.middleware
        async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/-/"):
                return await handler(request)
            server = self._servers[name]
            # aiohttp handles each request in a task with its own context.
            EFFECTS.set(server.effects())
            for fault in server.faults:
                if fault.kind in _STATE_KINDS or not fault.applies(server.generator):
                    continue
                if fault.kind not in ("latency", "hang"):
                    return await _respond(name, fault, request, handler)
                try:
                    replaced = await self._delay(
                        name, server.replaced, fault.number if fault.kind == "latency" else None
                    )
                except asyncio.CancelledError:
                    request[CALL].ended_by(fault.kind, None)
                    raise
                if replaced:
                    return _drop(request, fault.kind)
            return await _handle(request, handler)

        return faulty

    async def _delay(self, name: str, replaced: asyncio.Event, seconds: float | None) -> bool:
        """Wait, without a limit if `seconds` is None. Return True if the faults were replaced meanwhile."""
        self.waiting[name] += 1
        try:
            async with asyncio.timeout(seconds):
                return await replaced.wait()
        except TimeoutError:
            return False
        finally:
            self.waiting[name] -= 1


async def _handle(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Finish what the service has begun, even if the client disconnects."""
    return await asyncio.shield(handler(request))


async def _respond(server: str, fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    if fault.kind == "reset":
        return _drop(request, fault.kind)
    response: web.StreamResponse
    if fault.kind == "status":
        response = web.Response(status=int(fault.number), text="<html>broken</html>", content_type="text/html")
    elif fault.kind == "throttling":
        response = _throttle(server, request)
    elif fault.kind == "malformed":
        response = web.Response(text='{"Credentials": <', content_type="application/json")
    else:
        response = await _truncate(request, await _handle(request, handler))
    request[CALL].ended_by(fault.kind, response.status)
    return response


def _drop(request: web.Request, kind: str) -> web.Response:
    request[CALL].ended_by(kind, None)
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _truncate(request: web.Request, whole: web.StreamResponse) -> web.StreamResponse:
    body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b""
    # A response without a body cannot be truncated; 204 may not even have a Content-Length.
    half = web.StreamResponse(status=whole.status if body else 200, headers={"Content-Type": whole.content_type})
    half.content_length = max(2, len(body))
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half


def _throttle(server: str, request: web.Request) -> web.Response:
    if server == "oss":
        error = OssError(503, "DownloadTrafficRateLimitExceeded", "Please reduce your request rate.")
        return error_response(error, "0" * 24, request.host)
    if server == "wechat":
        return {DOUYIN_PATH: douyin_busy, ALIPAY_PATH: alipay_busy}.get(request.path, wechat_busy)()
    body = {"Code": "Throttling.User", "Message": "Request was denied due to user flow control.", "RequestId": "0"}
    return web.json_response(body, status=400)
