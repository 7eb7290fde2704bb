"""A credential that is simply there: a RAM user's AccessKey, or `type: static`."""

from __future__ import annotations

from signer.v4 import Credential


class Static:
    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    async def fetch(self) -> Credential:
        return self._credential
