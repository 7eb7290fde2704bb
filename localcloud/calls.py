"""`GET /-/calls`: the latest calls of the four services, in the order of their responses.

| member | meaning                                                                                  |
|--------|------------------------------------------------------------------------------------------|
| at     | arrival, in seconds since 1970; never decreases while the local cloud runs               |
| server | metadata, sts, oss or wechat                                                             |
| action | as in `/-/counts`, after the server's name; "" for an unknown action                     |
| who    | the role's ARN (sts), the role's name (metadata), the object's key (oss),                |
|        | the mini-program's id (wechat), or ""                                                    |
| status | of the response; null if there was none: connection dropped, or client disconnected      |
| fault  | the kind of the fault that ended the call; else absent                                   |
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

_MAX_CALLS = 100_000
_STARTED_AT = time.time() - time.monotonic()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Named = Callable[[web.Request], Awaitable[tuple[str, str]]]
"""Returns the action of a request and its subject, the member `who`."""


@dataclass(slots=True)
class Call:
    at: float
    server: str
    action: str
    who: str
    status: int | None = None
    fault: str | None = None

    def ended_by(self, fault: str, status: int | None) -> None:
        self.fault, self.status = fault, status


CALL = web.RequestKey("CALL", Call)


class CallLog:
    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=_MAX_CALLS)

    def as_json(self, action: str | None) -> list[dict[str, object]]:
        """Return the calls of one action, or all."""
        return [_as_json(each) for each in self._calls if action is None or each.action == action]

    def clear(self) -> None:
        self._calls.clear()

    def middleware(self, server: str, named: Named) -> Middleware:
        @web.middleware
        async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/-/"):
                return await handler(request)
            at = _STARTED_AT + time.monotonic()
            action, who = await named(request)
            # Few distinct values, stored many times.
            call = request[CALL] = Call(at, server, sys.intern(action), sys.intern(who))
            status = None
            try:
                response = await handler(request)
                status = response.status
                return response
            except web.HTTPException as error:
                status = error.status
                raise
            finally:
                if call.fault is None:
                    call.status = status
                self._calls.append(call)

        return record


def _as_json(call: Call) -> dict[str, object]:
    members: dict[str, object] = {
        "at": call.at,
        "server": call.server,
        "action": call.action,
        "who": call.who,
        "status": call.status,
    }
    return members if call.fault is None else {**members, "fault": call.fault}
