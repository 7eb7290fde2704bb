"""Faults, switched over HTTP while it runs: `PUT /-/faults` with `{"sts": {"kind": "latency", "seconds": 2}}`.

| kind           | what happens                                                        | members          |
|----------------|---------------------------------------------------------------------|------------------|
| clock          | the server's clock is off: its Date header, issued times and checks | offset_seconds   |
| expired        | what metadata or STS issues has already ended                       |                  |
| nearly_expired | what metadata or STS issues ends very soon                          | seconds          |
| revoked        | every token issued until now is invalid from now on                 |                  |
| latency        | each answer comes late                                              | seconds          |
| hang           | no answer at all                                                    |                  |
| reset          | the connection is dropped                                           |                  |
| status         | an error of that status with an HTML body, as a broken proxy's      | status           |
| throttling     | the service's own "too many requests"                               |                  |
| malformed      | 200 with a body that is neither JSON nor XML                        |                  |
| truncated      | half of the answer, then the connection is closed                   |                  |

A server may have several, as a list: `{"sts": [{"kind": "latency", "seconds": 2}, {"kind": "clock", "offset_seconds":
600}]}`. Of those that hold for a request, the first four kinds come first, wherever they stand; of the others one after
the other in the list's order, until one of them answers. So `[{"kind": "reset", "times": 2}, {"kind": "status",
"status": 500, "times": 1}]` drops two connections, then answers 500 once, then all is well.

Any fault but `revoked` may have two more members: `probability` (0 to 1; it holds for each request by chance, each
server drawing by itself from a generator that `PUT /-/faults?seed=N` starts anew) and `times` (for how many requests it
holds). A PUT replaces the faults of all servers. Whoever waits because of a fault that is gone, or is another one now,
has his connection dropped at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from localcloud.calls import CALL
from localcloud.fault_kinds import SERVERS, Fault, read_faults
from localcloud.oss_errors import OssError, error_response
from localcloud.wechat import busy_response
from localcloud.world import EFFECTS, Effects, World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_QUIET = ("clock", "expired", "nearly_expired", "revoked")
"""They change what the service answers; the others come between it and its caller."""


class _Server:
    """One server's faults, until they are others."""

    def __init__(self, given: Any = None, faults: list[Fault] | None = None, generator: Random | None = None) -> None:
        self.given = given
        self.faults = faults or []
        self.generator = generator or Random()  # noqa: S311
        self.over = asyncio.Event()

    def effects(self) -> Effects:
        """Those on one request."""
        offset, life_seconds = timedelta(), None
        for fault in self.faults:
            if fault.kind in _QUIET and fault.holds(self.generator):
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
        """How many requests a fault holds up now, by server."""

    @property
    def active(self) -> dict[str, Any]:
        """As they were set."""
        return {name: server.given for name, server in self._servers.items() if server.given is not None}

    def set(self, wanted: Any, seed: str | None = None) -> None:
        """Replaces all faults. Raises ValueError, and changes nothing, for what is no fault."""
        faults = read_faults(wanted)
        for name, old in self._servers.items():
            generator = Random() if seed is None else Random(f"{seed} {name}")  # noqa: S311
            new = self._servers[name] = _Server(wanted.get(name), faults.get(name), generator)
            if new.given == old.given:
                new.over = old.over
            else:
                old.over.set()
            if any(fault.kind == "revoked" for fault in new.faults):
                self._world.tokens.clear()

    def middleware(self, name: str) -> Middleware:
        @web.middleware
        async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/-/"):
                return await handler(request)
            server = self._servers[name]
            # aiohttp answers each request in a task, and so in a context, of its own.
            EFFECTS.set(server.effects())
            for fault in server.faults:
                if fault.kind in _QUIET or not fault.holds(server.generator):
                    continue
                if fault.kind not in ("latency", "hang"):
                    return await _instead(name, fault, request, handler)
                try:
                    over = await self._held(name, server.over, fault.number if fault.kind == "latency" else None)
                except asyncio.CancelledError:
                    request[CALL].answered_by(fault.kind, None)
                    raise
                if over:
                    return _dropped(request, fault.kind)
            return await _served(request, handler)

        return faulty

    async def _held(self, name: str, over: asyncio.Event, seconds: float | None) -> bool:
        """Waits, for ever without seconds. True: no longer, since the faults are others now."""
        self.waiting[name] += 1
        try:
            async with asyncio.timeout(seconds):
                return await over.wait()
        except TimeoutError:
            return False
        finally:
            self.waiting[name] -= 1


async def _served(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A caller who leaves ends his wait for a fault, but nothing that the service has begun."""
    return await asyncio.shield(handler(request))


async def _instead(server: str, fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    if fault.kind == "reset":
        return _dropped(request, fault.kind)
    response: web.StreamResponse
    if fault.kind == "status":
        response = web.Response(status=int(fault.number), text="<html>broken</html>", content_type="text/html")
    elif fault.kind == "throttling":
        response = _throttled(server, request)
    elif fault.kind == "malformed":
        response = web.Response(text='{"Credentials": <', content_type="application/json")
    else:
        response = await _half(request, await _served(request, handler))
    request[CALL].answered_by(fault.kind, response.status)
    return response


def _dropped(request: web.Request, kind: str) -> web.Response:
    request[CALL].answered_by(kind, None)
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _half(request: web.Request, whole: web.StreamResponse) -> web.StreamResponse:
    body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b""
    # An answer that has no body cannot be cut; 204 may not even announce one.
    half = web.StreamResponse(status=whole.status if body else 200, headers={"Content-Type": whole.content_type})
    half.content_length = max(2, len(body))
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half


def _throttled(server: str, request: web.Request) -> web.Response:
    if server == "oss":
        error = OssError(503, "DownloadTrafficRateLimitExceeded", "Please reduce your request rate.")
        return error_response(error, "0" * 24, request.host)
    if server == "wechat":
        return busy_response()
    body = {"Code": "Throttling.User", "Message": "Request was denied due to user flow control.", "RequestId": "0"}
    return web.json_response(body, status=400)
