"""`type: jwt`: users of the team's own login, by a JSON Web Token in `Authorization: Bearer`.

See: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from signer.callers.caller import Caller
from signer.callers.jwks import Jwks
from signer.callers.jwt_verification import (
    NOT_VALID_FOR_APP,
    VerifiedToken,
    VerifiedTokenCache,
    string_claim,
    unverified_header,
    verify_jwt,
)
from signer.callers.verification_keys import JWKS_ALGORITHMS, VerificationKey
from signer.errors import Unauthenticated
from signer.request_context import RequestContext

_CACHE_SECONDS = 300.0
"""How long a verified token is accepted without verification, and so after its issuer has withdrawn the key."""


@dataclass(frozen=True, slots=True)
class JwtRules:
    """What a token must state."""

    claim: str = "sub"
    """The claim that names the caller."""
    issuer: str | None = None
    audience: str | None = None
    leeway_seconds: float = 30.0


class JwtBearerCheck:
    """Identifies callers by their tokens."""

    def __init__(self, key: VerificationKey | Jwks, rules: JwtRules) -> None:
        """Create a check that verifies tokens with one key, or with the published keys of a JWKS."""
        self._key = key
        self._rules = rules
        self._verified_tokens = VerifiedTokenCache()

    def has_credential(self, context: RequestContext) -> bool:
        return any(_is_bearer(value) for value in context.headers.getall("Authorization", ()))

    async def identify(self, context: RequestContext) -> Caller:
        value = context.header("Authorization")
        if value is None or not _is_bearer(value):
            raise Unauthenticated("Authorization is missing; send a token in Authorization: Bearer")
        token = value[7:].strip()
        verified = self._verified_tokens.get(token)
        if verified is None:
            verified = await self._verify(token)
            self._verified_tokens.put(token, verified)
        return Caller(verified.caller)

    async def _verify(self, token: str) -> VerifiedToken:
        rules = self._rules
        claims = verify_jwt(
            token,
            await self._key_of(token),
            audience=rules.audience,
            issuer=rules.issuer,
            leeway_seconds=rules.leeway_seconds,
        )
        expires_at = min(claims["exp"] + rules.leeway_seconds, time.time() + _CACHE_SECONDS)
        return VerifiedToken(string_claim(claims, rules.claim), expires_at)

    async def _key_of(self, token: str) -> VerificationKey:
        if isinstance(self._key, VerificationKey):
            return self._key
        header = unverified_header(token)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in JWKS_ALGORITHMS.values():
            raise Unauthenticated(NOT_VALID_FOR_APP)
        return await self._key.key(header.get("kid"), algorithm)


def _is_bearer(value: str) -> bool:
    return value[:7].lower() == "bearer "
