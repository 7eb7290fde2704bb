"""The credential of another role, as the base of one that is assumed with it (`source:`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from signer.credentials.source import FetchFailed
from signer.errors import CredentialsUnavailable
from signer.v4 import Credential


class Chained:
    def __init__(self, role: str, get: Callable[[str], Awaitable[Credential]]) -> None:
        """`get` gives the kept credential of a role."""
        self._role = role
        self._get = get

    async def fetch(self) -> Credential:
        try:
            return await self._get(self._role)
        except CredentialsUnavailable:
            raise FetchFailed(f"its source {self._role} holds no usable credential") from None
