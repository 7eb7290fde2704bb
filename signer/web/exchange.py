"""One request while it is answered, and the handlers that answer it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from signer.service import Revision
from signer.web.reply import Reply


class Exchange:
    """What is known of a request from beginning to end."""

    __slots__ = ("address", "app", "headers", "parameter", "raw_path", "request", "request_id", "revision")

    def __init__(self, request: web.BaseRequest, revision: Revision, request_id: str) -> None:
        self.request = request
        self.raw_path = request.raw_path
        """Path and query as they were sent."""
        self.revision = revision
        """What it is answered from, from beginning to end."""
        self.request_id = request_id
        self.address = request.remote or ""
        """Of who asks; the peer's, or what a proxy that we trust says of it."""
        self.parameter = ""
        """The variable part of the path, such as the app's id."""
        self.app: str | None = None
        """The id of an app that exists; only such ids reach the log."""
        self.headers: dict[str, str] = {}
        """What the answer carries besides its own, refusals too."""


Handler = Callable[[Exchange], Awaitable[Reply | web.StreamResponse]]
