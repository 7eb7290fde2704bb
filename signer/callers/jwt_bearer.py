"""`callers: {type: jwt}`: a token of the team's own login, in `Authorization: Bearer`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from signer.callers.caller import Caller
from signer.callers.jwks import Jwks
from signer.callers.jwt_verification import (
    NOT_TAKEN,
    VerifiedToken,
    VerifiedTokenCache,
    check,
    text_in,
    unverified_header,
)
from signer.callers.verification_keys import PUBLISHED, VerificationKey
from signer.errors import Unauthenticated
from signer.request_context import RequestContext

_REMEMBER_SECONDS = 300.0
"""A token whose key its issuer withdraws is good for so long at most."""


@dataclass(frozen=True, slots=True)
class JwtRules:
    claim: str = "sub"
    """Which one names the caller."""
    issuer: str | None = None
    audience: str | None = None
    leeway_seconds: float = 30.0


class JwtBearerCheck:
    def __init__(self, key: VerificationKey | Jwks, rules: JwtRules) -> None:
        self._key = key
        self._rules = rules
        self._remembered = VerifiedTokenCache()

    def presented(self, context: RequestContext) -> bool:
        return any(_is_bearer(value) for value in context.headers.getall("Authorization", ()))

    async def identify(self, context: RequestContext) -> Caller:
        value = context.header("Authorization")
        if value is None or not _is_bearer(value):
            raise Unauthenticated("send a token in Authorization: Bearer")
        token = value[7:].strip()
        proof = self._remembered.get(token)
        if proof is None:
            proof = await self._proof(token)
            self._remembered.put(token, proof)
        return Caller(proof.caller)

    async def _proof(self, token: str) -> VerifiedToken:
        rules = self._rules
        claims = check(
            token,
            await self._key_for(token),
            audience=rules.audience,
            issuer=rules.issuer,
            leeway_seconds=rules.leeway_seconds,
        )
        ends_at = min(claims["exp"] + rules.leeway_seconds, time.time() + _REMEMBER_SECONDS)
        return VerifiedToken(text_in(claims, rules.claim), ends_at)

    async def _key_for(self, token: str) -> VerificationKey:
        if isinstance(self._key, VerificationKey):
            return self._key
        header = unverified_header(token)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in PUBLISHED.values():
            raise Unauthenticated(NOT_TAKEN)
        return await self._key.key(header.get("kid"), algorithm)


def _is_bearer(value: str) -> bool:
    return value[:7].lower() == "bearer "
