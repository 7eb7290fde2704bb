"""The interface of all sources of credentials."""

from collections.abc import Callable
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


async def fetch_valid(source: Source, validate: Callable[[Credential], None]) -> Credential | FetchFailed:
    """Return a newly fetched credential, or why there is none; `validate` raises `FetchFailed` for a useless one."""
    try:
        credential = await source.fetch()
        validate(credential)
    except FetchFailed as error:
        return error
    except Exception as error:
        # A defect in an SDK must not end the keeper's task. The text may contain secrets, so only the type is kept.
        return FetchFailed(f"unexpected {type(error).__name__}", needs_operator=True, concerns_issuer=True)
    return credential
