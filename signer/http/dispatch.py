"""Answers a request: context, route, handler, problems, response headers, metrics and log."""

import itertools
import logging
import os
import re
import time
from collections.abc import Callable

from multidict import MultiMapping

from signer.errors import Problem
from signer.http.client_address import UnreadableHops, client_address, trusted_networks
from signer.http.problem_reply import problem_reply
from signer.http.reply import Reply
from signer.http.request_log import RequestLog
from signer.http.response_headers import add_response_headers
from signer.http.router import Router
from signer.request_context import RequestBody, RequestContext
from signer.revision import Context
from signer.service import Service

log = logging.getLogger("oss_signer")

Guard = Callable[[Context], None]
"""Raises a `Problem` if the client may not use the routes."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_PROCESS_ID = os.urandom(10).hex()
_NUMBERS = itertools.count()


class Dispatcher:
    """Answers the requests of one listener."""

    def __init__(
        self,
        service: Service,
        router: Router,
        request_log: RequestLog,
        *,
        guard: Guard | None = None,
        is_timed: bool = True,
    ) -> None:
        """Create a dispatcher; `guard` checks each request before its route is used, paths without a route included.

        `is_timed` is whether responses count in the duration histogram, which describes signatures only.
        """
        self._service = service
        self._router = router
        self._request_log = request_log
        self._guard = guard
        self._is_timed = is_timed
        self._record_unreadable_hop = UnreadableHops(service.metrics.count_unreadable_hop).record
        self._trusted_proxies = trusted_networks(service.current.registry.server.trusted_proxies)

    async def handle(self, method: str, target: str, headers: MultiMapping[str], body: RequestBody, peer: str) -> Reply:
        """Return the reply to a request; a failure is a reply too.

        `target` is path and query as the client sent them; `peer` is empty for a unix socket.
        """
        started = time.perf_counter()
        revision = self._service.current
        path = target.partition("?")[0]
        route, parameter = self._router.match(path)
        app_id = app = None
        if route.app_naming is not None:
            app_id = route.app_naming(parameter, target, headers, revision.registry)
            app = revision.registry.apps.get(app_id) if app_id else None
        address = client_address(peer, headers, self._trusted_proxies, self._record_unreadable_hop)
        request_id = _request_id(headers)
        # The usual constructor takes twice as long, with keyword arguments four times.
        context: Context = tuple.__new__(
            RequestContext,
            (headers, address, None, request_id, method, target, path, parameter, body, revision, app_id, app),
        )
        problem = None
        try:
            if self._guard is not None:
                self._guard(context)
            reply = await route.handler(method)(context)
        except Problem as raised:
            problem = raised
            reply = problem_reply(problem, context.request_id)
        except Exception:
            # The traceback is logged without values. The client gets only the request id.
            log.exception("internal error", extra={"request_id": context.request_id})
            problem = Problem()
            reply = problem_reply(problem, context.request_id)
        add_response_headers(reply, context, problem)
        seconds = time.perf_counter() - started
        if self._is_timed and route.is_timed:
            self._service.metrics.observe_request(seconds)
        self._request_log.add(context, reply.status, None if problem is None else problem.code, seconds)
        return reply


def _request_id(headers: MultiMapping[str]) -> str:
    """Return the client's request id if it is safe in logs and headers, else a new one."""
    given = headers.get("X-Request-Id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"{_PROCESS_ID}{next(_NUMBERS):012x}"
