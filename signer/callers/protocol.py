"""What every kind of caller check offers, and what it is shown of a request.

Other packages may offer kinds of their own: entry point group `oss_signer.callers`, see docs/callers.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a request says about who sends it; header names in any case."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    address: str = ""
    code: str | None = field(default=None, repr=False)
    """A wx.login code that came in the body."""


@dataclass(frozen=True, slots=True)
class Session:
    """A token of ours that the client may send from now on instead of what it sent."""

    token: str = field(repr=False)
    expires_in_seconds: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an id that may stand in object keys and limits, or None for anyone."""

    id: str | None = None
    session: Session | None = None


class CallerCheck(Protocol):
    def presented(self, evidence: Evidence) -> bool:
        """Whether the request carries what this kind looks at; of several kinds the first one decides."""
        ...

    async def identify(self, evidence: Evidence) -> Caller:
        """Raises `Unauthenticated`, `Forbidden`, `RateLimited` or `IdentityUnavailable`."""
        ...
