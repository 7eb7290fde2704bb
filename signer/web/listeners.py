"""aiohttp's low-level server on a socket: no application, no router, no middleware between a request and its front."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from signer.errors import InvalidRequest
from signer.web.front import Front
from signer.web.problems import problem_response

_SHUTDOWN_SECONDS = 5.0
_KEEPALIVE_SECONDS = 75.0
"""Above nginx's own 60 s, so that it is never we who close a connection it is about to use."""


class _Connection(RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp cannot read as HTTP gets a problem like the rest, and no traceback in the log."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer is under way already")
        response = problem_response(InvalidRequest("this is no HTTP request we understand"), "-")
        response.force_close()
        return response


class _Server(web.Server):
    def __init__(self, front: Front, max_body_bytes: int) -> None:
        super().__init__(
            front.handle, request_factory=self._request, access_log=None, keepalive_timeout=_KEEPALIVE_SECONDS
        )
        self._max_body_bytes = max_body_bytes

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)

    def _request(
        self, message: RawRequestMessage, payload: StreamReader, protocol: Any, writer: Any, task: asyncio.Task[None]
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, self._loop, client_max_size=self._max_body_bytes
        )


def runner(front: Front, *, max_body_bytes: int) -> web.ServerRunner:
    """Not yet set up; its `cleanup` lets requests under way end, for 5 s at most."""
    return web.ServerRunner(_Server(front, max_body_bytes), shutdown_timeout=_SHUTDOWN_SECONDS)
