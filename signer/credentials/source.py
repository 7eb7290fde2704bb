"""What every source of credentials offers."""

from __future__ import annotations

from typing import Protocol

from signer.v4 import Credential


class FetchFailed(Exception):
    """A source gave no credential; the text is for logs and /readyz and holds no secret."""


class Source(Protocol):
    async def fetch(self) -> Credential:
        """A credential fresh from its service. Raises `FetchFailed`."""
        ...
