"""The caller of a request, and the interface of all caller checks.

Other packages can provide further types of callers: see `signer.plugins` and docs/callers.md.
"""

from dataclasses import dataclass, field
from typing import Protocol

from signer.errors import InvalidRequest
from signer.request_context import RequestContext

_MAX_ID_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Session:
    """A session token of the signer, which the client can send instead of its credential from now on."""

    token: str = field(repr=False)
    expires_in_seconds: int


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request, by an id for limits, logs and object keys; None for anyone.

    An id that is empty, too long or not printable raises `InvalidRequest`; `signer.signing.object_key` checks more.
    """

    id: str | None = None
    session: Session | None = None

    def __post_init__(self) -> None:
        if self.id is not None and not (1 <= len(self.id) <= _MAX_ID_CHARACTERS and self.id.isprintable()):
            raise InvalidRequest(f"a caller's id must have 1 to {_MAX_ID_CHARACTERS} printable characters")


class CallerCheck(Protocol):
    """Identifies the callers of one app."""

    def has_credential(self, context: RequestContext) -> bool:
        """Return whether the request has a credential of this type, valid or not.

        Of several types, the first with a credential in the request identifies the caller.
        """

    async def identify(self, context: RequestContext) -> Caller:
        """Return the caller. Runs in the event loop and must not block it.

        Raise `Unauthenticated` for a missing or invalid credential, `IdentityUnavailable` if the service that verifies
        it is unavailable, or another `Problem`, such as `Forbidden`, for a refused caller.
        """
