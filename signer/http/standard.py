"""The standard adapter: HTTP through aiohttp's documented low-level API. It runs with any aiohttp 3.

See: https://docs.aiohttp.org/en/stable/web_lowlevel.html
"""

import asyncio
import logging
from typing import cast

from aiohttp import StreamReader, hdrs, web
from aiohttp.http import HttpProcessingError

from signer.http.dispatch import Dispatcher
from signer.http.draining_server import DrainingServer
from signer.http.request_body import StreamBody, skip_body
from signer.http.response_headers import all_headers
from signer.http.unparsable_request import unparsable_request_reply
from signer.request_context import EMPTY_BODY

log = logging.getLogger("oss_signer")


class StandardServer(DrainingServer):
    """Answers requests with `web.Response`."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        # A body that no handler reads is skipped here, up to a size; aiohttp would skip any amount for some seconds.
        super().__init__(self._respond, logger=log, lingering_time=0)
        self._handle = dispatcher.handle

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return StandardConnection(self, loop=asyncio.get_running_loop(), **self.connection_options)

    async def _respond(self, request: web.BaseRequest) -> web.Response:
        """Return the response to a request; aiohttp sends it."""
        connection = cast("StandardConnection", request.protocol)
        self.mark_busy(connection)
        try:
            headers = request.headers
            stream = request.content if request.body_exists else None
            body = EMPTY_BODY if stream is None else StreamBody(stream, request, request.transport)
            reply = await self._handle(request.method, request.raw_path, headers, body, connection.peer)
            response = web.Response(status=reply.status, body=reply.body, headers=all_headers(reply))
            if self.is_draining or hdrs.UPGRADE in headers:
                # What follows a request for another protocol cannot be read as HTTP.
                response.force_close()
            if stream is not None and not await _send_before_rest(stream, request, response):
                response.force_close()
            return response
        finally:
            self.mark_idle(connection)


async def _send_before_rest(stream: StreamReader, request: web.BaseRequest, response: web.Response) -> bool:
    """Send the response and skip the rest of the body, if the body has one; return whether the body ended well."""
    if stream.exception() is not None:
        return False
    if stream.is_eof():
        return True
    try:
        await response.prepare(request)
        await response.write_eof()
    except ConnectionError:  # The client disconnected.
        return False
    return await skip_body(stream)


class StandardConnection(web.RequestHandler):
    """A connection that answers requests which cannot be parsed with a problem, and does not log them."""

    __slots__ = ("peer",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if isinstance(name, tuple) else ""  # a unix socket has no address

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        reply = unparsable_request_reply(exc)
        response = web.Response(status=reply.status, body=reply.body, headers=all_headers(reply))
        response.force_close()
        return response
