"""What a handler returns: status, body and headers, independent of the server that sends it."""

from typing import Any

import orjson

from signer.callers.caller import Session
from signer.limits.token_bucket import Allowance

JSON = "application/json; charset=utf-8"
PROBLEM = "application/problem+json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


class Reply:
    """The response to one request. Dispatch adds the headers that depend on the request."""

    __slots__ = ("allowance", "body", "content_type", "headers", "request_id", "session", "status")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        content_type: str | None = JSON,
        *,
        headers: dict[str, str] | None = None,
        allowance: Allowance | None = None,
        session: Session | None = None,
    ) -> None:
        """Create a reply; `session` is one that the client may send from now on, for the X-Session headers."""
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = {} if headers is None else headers
        self.allowance = allowance
        self.session = session
        self.request_id = ""


def json_reply(
    document: Any,
    status: int = 200,
    *,
    headers: dict[str, str] | None = None,
    allowance: Allowance | None = None,
    session: Session | None = None,
) -> Reply:
    """Return a reply with a JSON body; the arguments are those of `Reply`."""
    return Reply(status, orjson.dumps(document), headers=headers, allowance=allowance, session=session)
