"""`type: jwt`: users of the team's own login, by a JSON Web Token in `Authorization: Bearer`.

See: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
"""

import time
from typing import Any

from signer.callers.caller import Caller
from signer.callers.jwks import Jwks
from signer.callers.jwt_verification import (
    JwtRules,
    VerifiedToken,
    VerifiedTokenCache,
    WrongSignature,
    named_key,
    string_claim,
    verify_jwt,
)
from signer.callers.verification_keys import JWKS_ALGORITHMS, VerificationKey
from signer.errors import Unauthenticated
from signer.request_context import RequestContext

_CACHE_SECONDS = 300.0
"""How long a verified token is accepted without verification, and so after its issuer has withdrawn the key."""


class JwtBearerCheck:
    """Identifies callers by their tokens, which it verifies with one key or with the published keys of a JWKS."""

    def __init__(self, key: VerificationKey | Jwks, rules: JwtRules) -> None:
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
            claims = await self._claims(token)
            expires_at = min(claims["exp"] + self._rules.leeway_seconds, time.time() + _CACHE_SECONDS)
            verified = VerifiedToken(string_claim(claims, self._rules.claim), expires_at)
            self._verified_tokens.put(token, verified)
        return Caller(verified.caller)

    async def _claims(self, token: str) -> dict[str, Any]:
        if isinstance(self._key, VerificationKey):
            return verify_jwt(token, [self._key], self._rules)
        name = named_key(token, JWKS_ALGORITHMS.values())
        keys = await self._key.keys(name)
        try:
            return verify_jwt(token, keys, self._rules)
        except WrongSignature:
            # The issuer may have replaced the key without a new `kid`.
            replacements = await self._key.replacements(name, keys)
            if not replacements:
                raise
            return verify_jwt(token, replacements, self._rules)


def _is_bearer(value: str) -> bool:
    return value[:7].lower() == "bearer "
