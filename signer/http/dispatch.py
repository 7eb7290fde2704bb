"""What holds for every request: its id, its problem body, its headers, its one line in the log."""

from __future__ import annotations

import itertools
import logging
import os
import re
import time

from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from multidict import MultiMapping

from signer.errors import Problem
from signer.http.exchange import Exchange
from signer.http.problems import problem_reply
from signer.http.reply import Reply
from signer.http.request_log import RequestLog
from signer.http.router import Routes
from signer.service import Service

log = logging.getLogger("oss_signer")

_PROCESS = os.urandom(10).hex()
_NUMBERS = itertools.count()
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


class Front:
    """Answers each request with what its route says, or with the problem that it ran into."""

    def __init__(self, service: Service, routes: Routes, request_log: RequestLog, *, timed: bool = True) -> None:
        """`timed`: the answers count in the histogram; scrapes and status pages are no signatures."""
        self._service = service
        self._routes = routes
        self._request_log = request_log
        self._timed = timed

    async def handle(self, message: RawRequestMessage, body: StreamReader, peer: str) -> Reply:
        """`peer` is the address that the request comes from, empty where there is none."""
        started = time.perf_counter()
        exchange = Exchange(message, body, peer, self._service.current, _request_id(message.headers))
        code = None
        try:
            handler = self._routes.find(exchange)
            reply = await handler(exchange)
        except Problem as problem:
            code = problem.code
            reply = problem_reply(problem, exchange.request_id)
        except Exception:
            # The traceback goes to the log without values; the caller learns only the request id.
            code = Problem.code
            log.exception("internal error", extra={"request_id": exchange.request_id})
            reply = problem_reply(Problem(), exchange.request_id)
        reply.request_id = exchange.request_id
        if exchange.reply_headers:
            reply.headers.update(exchange.reply_headers)
        seconds = time.perf_counter() - started
        if self._timed:
            self._service.metrics.observe_request(seconds)
        self._request_log.add(exchange, reply.status, code, seconds)
        return reply


def _request_id(headers: MultiMapping[str]) -> str:
    given = headers.get("X-Request-Id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"{_PROCESS}{next(_NUMBERS):012x}"
