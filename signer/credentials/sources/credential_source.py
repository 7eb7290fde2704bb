"""What every source of credentials offers."""

from __future__ import annotations

from typing import Protocol

from signer.signing.v4 import Credential


class FetchFailed(Exception):
    """A source gave no credential; the text is for logs and /readyz and holds no secret.

    `loud`: an operator has to mend it, since waiting will not.
    """

    def __init__(self, reason: str, *, loud: bool = False) -> None:
        super().__init__(reason)
        self.loud = loud


class Source(Protocol):
    async def fetch(self) -> Credential:
        """A credential fresh from its service. Raises `FetchFailed`."""
        ...
