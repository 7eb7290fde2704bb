"""The interface of all sources of credentials."""

from typing import Protocol

from signer.signing.v4 import Credential


class FetchFailed(Exception):
    """A source returned no credential. The text is shown in logs and /readyz and contains no secret."""

    def __init__(self, reason: str, *, needs_operator: bool = False, concerns_issuer: bool = False) -> None:
        super().__init__(reason)
        self.needs_operator = needs_operator
        """Whether an operator has to fix something, since retries will not help."""
        self.concerns_issuer = concerns_issuer
        """Whether fetches of other roles from the same issuer fail too, such as without a connection."""


class Source(Protocol):
    """Fetches the credential of one role."""

    async def fetch(self) -> Credential:
        """Return a newly fetched credential, or raise `FetchFailed`."""
