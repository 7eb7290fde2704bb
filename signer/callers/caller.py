"""What every kind of caller check offers, and what it is shown of a request.

Other packages may offer kinds of their own: entry point group `oss_signer.callers`, see docs/callers.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from signer.errors import InvalidRequest
from signer.request_context import RequestContext

_MAX_ID_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Session:
    """A token of ours that the client may send from now on instead of what it sent."""

    token: str = field(repr=False)
    expires_in_seconds: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an id that may stand in limits and logs, or None for anyone.

    Raises `InvalidRequest` for an id that is empty, long, or holds control or invisible characters. Whether it may
    stand in an object key is up to `signer.signing.object_key`.
    """

    id: str | None = None
    session: Session | None = None

    def __post_init__(self) -> None:
        if self.id is not None and not (1 <= len(self.id) <= _MAX_ID_CHARACTERS and self.id.isprintable()):
            raise InvalidRequest(f"a caller's id has 1 to {_MAX_ID_CHARACTERS} printable characters")


class CallerCheck(Protocol):
    def presented(self, context: RequestContext) -> bool:
        """Whether the request carries what this kind looks at; of several kinds the first one decides."""
        ...

    async def identify(self, context: RequestContext) -> Caller:
        """Raises `InvalidRequest`, `Unauthenticated`, `Forbidden`, `RateLimited` or `IdentityUnavailable`."""
        ...
