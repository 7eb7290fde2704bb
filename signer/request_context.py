"""What is known of one request: an immutable value that dispatch creates and every package reads."""

from collections.abc import Mapping
from typing import Generic, NamedTuple, Protocol, cast

from multidict import CIMultiDict, MultiMapping
from typing_extensions import TypeVar
from yarl import URL

from signer.errors import InvalidRequest

RevisionT = TypeVar("RevisionT", covariant=True, default=object)
AppT = TypeVar("AppT", covariant=True, default=object)


MAX_BODY_BYTES = 64 * 1024
"""The usual limit of a request body."""


class RequestBody(Protocol):
    """The body of a request, read on demand."""

    async def read(self, max_bytes: int = MAX_BODY_BYTES) -> bytes:
        """Return the whole body; raise `TooLarge`, or `InvalidRequest` if it is incomplete, malformed or too slow."""


class EmptyBody:
    """The body of a request without one."""

    async def read(self, max_bytes: int = MAX_BODY_BYTES) -> bytes:
        return b""


EMPTY_BODY = EmptyBody()


class RequestContext(NamedTuple, Generic[RevisionT, AppT]):
    """What is known of one request."""

    headers: MultiMapping[str] = CIMultiDict()
    """Names match in any case."""
    client_address: str = ""
    """The client's IP address, with trusted proxies resolved; empty if it has none (unix socket)."""
    login_code: str | None = None
    """A wx.login code from the request body."""
    request_id: str = ""
    method: str = "GET"
    target: str = "/"
    """Path and query as the client sent them."""
    path: str = "/"
    """Not decoded: no path of this API needs escapes, and an escaped slash is not a separator."""
    parameter: str = ""
    """The variable segment of the path."""
    body: RequestBody = EMPTY_BODY
    revision: RevisionT = cast("RevisionT", None)
    """The definitions, credentials and caller checks that this request uses from start to end."""
    app_id: str | None = None
    """The id of the app that the request names, whether it exists or not."""
    app: AppT | None = None
    """The app of that id; it may be disabled."""

    def __repr__(self) -> str:
        return f"RequestContext({self.method} {self.path} request_id={self.request_id})"

    @property
    def query(self) -> Mapping[str, str]:
        """The decoded query."""
        return URL(self.target, encoded=True).query

    def has_header(self, name: str) -> bool:
        """Return whether the header is present with a value."""
        return any(self.headers.getall(name, ()))

    def header(self, name: str) -> str | None:
        """Return the header's value, or None if it is absent or empty; raise `InvalidRequest` if it occurs twice."""
        values = self.headers.getall(name, ())
        if len(values) > 1:  # a proxy in front may have checked the other one
            raise InvalidRequest(f"the header {name} occurs twice; send it once")
        return values[0] or None if values else None
