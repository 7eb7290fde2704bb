"""What every kind of caller check offers, and what it is shown of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a request says about who sends it: header names in lower case, and the peer's address."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    address: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an id that may stand in object keys and limits, or None for anyone."""

    id: str | None = None


class CallerCheck(Protocol):
    async def identify(self, evidence: Evidence) -> Caller:
        """Raises `Unauthenticated` or `Forbidden` when the evidence does not hold."""
        ...
