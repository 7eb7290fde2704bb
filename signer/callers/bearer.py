"""`callers: {type: jwt}`: a token of the team's own login, in `Authorization: Bearer`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from signer.callers.jwks import Jwks
from signer.callers.protocol import Caller, Evidence
from signer.callers.tokens import Remembered, check, unverified_header
from signer.errors import Unauthenticated

ALGORITHMS = {"RSA": ("RS256",), "EC": ("ES256",), "oct": ("HS256",)}
"""By the kind of key: a token may only ask for what its key is made for."""


_REMEMBER_SECONDS = 300.0
"""A key that its issuer withdraws is good for so long at most."""


@dataclass(frozen=True, slots=True)
class FixedKey:
    """A secret or a public key that stands in the definitions."""

    key: Any = field(repr=False)
    algorithms: Sequence[str]


@dataclass(frozen=True, slots=True)
class Rules:
    claim: str
    issuer: str | None
    audience: str | None
    leeway_seconds: float


class Bearer:
    def __init__(self, key: FixedKey | Jwks, rules: Rules) -> None:
        self._key = key
        self._rules = rules
        self._remembered = Remembered()

    def presented(self, evidence: Evidence) -> bool:
        return evidence.headers.get("Authorization", "")[:7].lower() == "bearer "

    async def identify(self, evidence: Evidence) -> Caller:
        if not self.presented(evidence):
            raise Unauthenticated("send a token in Authorization: Bearer")
        token = evidence.headers["Authorization"][7:].strip()
        known = self._remembered.get(token)
        if known is None:
            key, algorithms = await self._key_for(token)
            rules = self._rules
            known = check(
                token,
                key,
                algorithms,
                claim=rules.claim,
                audience=rules.audience,
                issuer=rules.issuer,
                leeway_seconds=rules.leeway_seconds,
            )
            self._remembered.put(token, *known, at_most_seconds=_REMEMBER_SECONDS)
        return Caller(known[0])

    async def _key_for(self, token: str) -> tuple[Any, Sequence[str]]:
        if isinstance(self._key, FixedKey):
            return self._key.key, self._key.algorithms
        header = unverified_header(token)
        if header.get("alg") not in ("RS256", "ES256"):
            raise Unauthenticated("the token is not one that this app takes")
        key_id = header.get("kid")
        published = await self._key.key(key_id if isinstance(key_id, str) else None)
        return published.key, ALGORITHMS[str(published.key_type)]
