"""What is known of one request: an immutable value that dispatch creates and every package reads."""

import re
from collections.abc import Iterable, Mapping
from typing import Generic, NamedTuple, Protocol, cast
from urllib.parse import parse_qsl

from multidict import CIMultiDict, MultiDict, MultiMapping
from typing_extensions import TypeVar

from signer.errors import InvalidRequest

RevisionT = TypeVar("RevisionT", covariant=True, default=object)
AppT = TypeVar("AppT", covariant=True, default=object)


_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_NAME_CHARACTERS = 64

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
        """The decoded query; raises `InvalidRequest` if a parameter occurs twice or is not UTF-8."""
        query = parse_query(self.target)
        check_parameters(query, query)
        return query

    def has_header(self, name: str) -> bool:
        """Return whether the header is present with a value."""
        return any(self.headers.getall(name, ()))

    def header(self, name: str) -> str | None:
        """Return the header's value, or None if it is absent or empty; raise `InvalidRequest` if it occurs twice."""
        values = self.headers.getall(name, ())
        if len(values) > 1:  # a proxy in front may have checked the other one
            raise InvalidRequest(f"the header {name} occurs twice; send it once")
        return values[0] or None if values else None


def parse_query(target: str) -> MultiDict[str]:
    """Return the decoded query of a target; each byte that is not UTF-8 becomes a lone surrogate."""
    return MultiDict(parse_qsl(target.partition("?")[2], keep_blank_values=True, errors="surrogateescape"))


def check_parameters(query: MultiDict[str], names: Iterable[str]) -> None:
    """Raise `InvalidRequest` if one of these parameters is not UTF-8 or occurs twice: it would name something else.

    See: https://www.rfc-editor.org/rfc/rfc3986#section-2.5
    """
    for name in names:
        values = query.getall(name, ())
        if _SURROGATE.search(name) or any(_SURROGATE.search(value) for value in values):
            raise InvalidRequest(f"{_shown(name)} is not UTF-8; encode its text as UTF-8, then with %")
        if len(values) > 1:
            raise InvalidRequest(f"{_shown(name)} occurs twice; send it once")


def _shown(name: str) -> str:
    return f"the query parameter {name[:_MAX_NAME_CHARACTERS].encode(errors='replace').decode()!r}"
