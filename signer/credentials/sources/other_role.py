"""The credential of another role, as the base of one that is assumed with it (`source:`)."""

from __future__ import annotations

from typing import Protocol

from signer.credentials.sources.protocol import FetchFailed
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential


class Roles(Protocol):
    """The kept credentials of roles, by name."""

    async def get(self, role: str) -> Credential: ...

    def renew(self, role: str) -> None: ...


class Chained:
    def __init__(self, role: str, roles: Roles) -> None:
        self._role = role
        self._roles = roles

    async def fetch(self) -> Credential:
        try:
            return await self._roles.get(self._role)
        except CredentialsUnavailable:
            raise FetchFailed(f"its source {self._role} holds no usable credential") from None

    def distrust(self) -> None:
        """STS does not take it, so it was revoked: a new one is fetched at once."""
        self._roles.renew(self._role)
