"""The credential of another role, as the base of one that is assumed with it (`source:`)."""

from __future__ import annotations

from typing import Protocol

from signer.credentials.sources.credential_source import FetchFailed
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential


class RoleCredentials(Protocol):
    """The kept credentials of roles, by name."""

    async def get(self, role: str) -> Credential: ...

    def refresh(self, role: str) -> None: ...


class ChainedRoleSource:
    def __init__(self, role: str, roles: RoleCredentials) -> None:
        self._role = role
        self._roles = roles

    async def fetch(self) -> Credential:
        try:
            return await self._roles.get(self._role)
        except CredentialsUnavailable:
            raise FetchFailed(f"its source {self._role} holds no usable credential") from None

    def distrust(self) -> None:
        """STS does not take it, so it was revoked: a new one is fetched at once."""
        self._roles.refresh(self._role)
