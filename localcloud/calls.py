"""`GET /-/calls`: the last calls of the four services, each when it was answered; `at` is when it came.

| member | meaning                                                                                  |
|--------|------------------------------------------------------------------------------------------|
| at     | seconds since 1970; never runs backwards while the local cloud runs                      |
| server | metadata, sts, oss or wechat                                                             |
| action | as in `/-/counts`, behind the server's name; "" for what the service does not know       |
| who    | the role's ARN (sts), the role's name (metadata), the object's key (oss),                |
|        | the mini-program's id (wechat), "" without one                                           |
| status | of the answer; null when there was none: the connection was dropped or the client left   |
| fault  | the kind of the fault that answered or held it up until it ended; else absent            |
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
"""The action and the who of a request."""


@dataclass(slots=True)
class Call:
    at: float
    server: str
    action: str
    who: str
    status: int | None = None
    fault: str | None = None

    def answered_by(self, fault: str, status: int | None) -> None:
        self.fault, self.status = fault, status


CALL = web.RequestKey("CALL", Call)


class Calls:
    def __init__(self) -> None:
        self._kept: deque[Call] = deque(maxlen=_MAX_CALLS)

    def shown(self, action: str | None) -> list[dict[str, object]]:
        """Those of one action, or all; the one that was answered first comes first."""
        return [_shown(each) for each in self._kept if action is None or each.action == action]

    def clear(self) -> None:
        self._kept.clear()

    def middleware(self, server: str, named: Named) -> Middleware:
        @web.middleware
        async def kept(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/-/"):
                return await handler(request)
            at = _STARTED_AT + time.monotonic()
            action, who = await named(request)
            # Few different ones, kept very often.
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
                self._kept.append(call)

        return kept


def _shown(call: Call) -> dict[str, object]:
    shown: dict[str, object] = {
        "at": call.at,
        "server": call.server,
        "action": call.action,
        "who": call.who,
        "status": call.status,
    }
    return shown if call.fault is None else {**shown, "fault": call.fault}
