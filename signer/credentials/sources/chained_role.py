"""`source:` of `type: assume_role`: the credential of another role, with which a role is assumed."""

from __future__ import annotations

from typing import Protocol

from signer.credentials.sources.credential_source import FetchFailed
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential


class RoleCredentials(Protocol):
    """The credentials of all roles, by name."""

    async def get(self, role: str) -> Credential: ...

    def refresh(self, role: str) -> None: ...


class ChainedRoleUnavailable(FetchFailed):
    """The role with which another role is assumed has no usable credential."""


class ChainedRoleSource:
    """Returns the credential of another role."""

    def __init__(self, role: str, credentials: RoleCredentials) -> None:
        self._role = role
        self._credentials = credentials

    async def fetch(self) -> Credential:
        try:
            return await self._credentials.get(self._role)
        except CredentialsUnavailable:
            raise ChainedRoleUnavailable(f"its source role {self._role} has no usable credential") from None

    def reject(self) -> None:
        """Refresh the role's credential at once, after STS rejected it: it was revoked."""
        self._credentials.refresh(self._role)
