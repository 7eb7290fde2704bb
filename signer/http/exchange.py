"""One request while it is answered, and the handlers that answer it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from multidict import MultiMapping

from signer.http.reply import Reply
from signer.request_context import RequestContext
from signer.revision import Revision


class Exchange(RequestContext):
    """What is known of a request from beginning to end; who sends it is told by some of that."""

    __slots__ = ("app", "body", "message", "method", "parameter", "path", "raw_path", "reply_headers", "revision")

    def __init__(
        self, message: RawRequestMessage, body: StreamReader, address: str, revision: Revision, request_id: str
    ) -> None:
        """`address` is the peer's, until a proxy that we trust says another; empty for who has none."""
        self.headers = message.headers
        self.client_address = address
        self.login_code = None
        self.request_id = request_id
        self.message = message
        """As it was parsed."""
        self.method = message.method
        self.raw_path = message.path
        """Path and query as they were sent."""
        self.path = message.path.partition("?")[0]
        """Not decoded: none of our paths needs an escape, and an escaped slash must be no slash."""
        self.body = body
        self.revision = revision
        """What it is answered from, from beginning to end."""
        self.parameter = ""
        """The variable part of the path, such as the app's id."""
        self.app: str | None = None
        """The id of an app that exists; only such ids reach the log."""
        self.reply_headers: dict[str, str] = {}
        """What the answer carries besides its own, refusals too."""

    @property
    def query(self) -> MultiMapping[str]:
        return self.message.url.query


Handler = Callable[[Exchange], Awaitable[Reply]]
