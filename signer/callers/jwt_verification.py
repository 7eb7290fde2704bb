"""Verify JSON Web Tokens with PyJWT, and cache the verified ones: a client sends the same token with each request.

See: https://www.rfc-editor.org/rfc/rfc7519
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jwt
from cachetools import LRUCache

from signer.callers.verification_keys import VerificationKey
from signer.errors import Unauthenticated

_MAX_TOKEN_CHARACTERS = 8192
_MAX_EXPIRATION = 2**53
"""A later expiration is reduced to this number of epoch seconds, which a float can hold."""

NOT_VALID_FOR_APP = "the token is not valid for this app"


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a verified token states; times are in epoch seconds."""

    caller: str
    expires_at: float
    login_at: float = 0.0
    """In session tokens: when the caller last logged in."""


_verified_tokens: LRUCache[bytes, VerifiedToken] = LRUCache(maxsize=100_000)
"""The verified tokens of all apps, by a digest of the token. About 50 MB when full."""


class VerifiedTokenCache:
    """The verified tokens of one caller check. No other check, even of the same app, can read them."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._salt = os.urandom(16)

    def get(self, token: str) -> VerifiedToken | None:
        """Return what the token states, or None if it was not verified yet or has expired."""
        verified = _verified_tokens.get(self._key(token))
        return verified if verified is not None and verified.expires_at > self._now() else None

    def put(self, token: str, verified: VerifiedToken) -> None:
        """Store a verified token."""
        _verified_tokens[self._key(token)] = verified

    def _key(self, token: str) -> bytes:
        return sha256(self._salt + token.encode(errors="surrogatepass")).digest()


def verify_jwt(
    token: str,
    key: VerificationKey,
    *,
    audience: str | None = None,
    issuer: str | None = None,
    leeway_seconds: float = 0.0,
) -> dict[str, Any]:
    """Verify a token and return its claims; `exp` is in epoch seconds.

    Only the key's own algorithm is accepted, so neither `none` nor HS256 with a public key as its secret is.

    Args:
        audience: A token with an `aud` claim must name this audience; without it, such tokens are rejected.
        issuer: The required `iss` claim, or None for any.
        leeway_seconds: How far the issuer's clock may be off.

    Raises:
        Unauthenticated: The token is not valid. The text contains nothing of the token.

    See: https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3
    """
    _reject_long_token(token)
    try:
        claims = jwt.decode(
            token,
            key.value,
            algorithms=[key.algorithm],
            audience=audience,
            issuer=issuer,
            leeway=leeway_seconds,
            # The claim that names the caller need not be `sub`; `string_claim` checks its type.
            options={"require": ["exp"], "verify_sub": False, "verify_jti": False, "enforce_minimum_key_length": True},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("the token has expired; get a new one") from None
    except jwt.ImmatureSignatureError:
        raise Unauthenticated("the token is not valid yet; check the clocks of the issuer and the signer") from None
    except jwt.InvalidAudienceError:
        why = "this app's definitions name no audience" if audience is None else "it is for another audience"
        raise Unauthenticated(f"the token's aud claim does not match: {why}") from None
    except jwt.InvalidIssuerError:
        raise Unauthenticated("the token's iss claim does not match the issuer of this app") from None
    except jwt.MissingRequiredClaimError as error:
        raise Unauthenticated(f"the token has no {error.claim} claim") from None
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Unauthenticated(NOT_VALID_FOR_APP) from None
    claims["exp"] = float(min(int(claims["exp"]), _MAX_EXPIRATION))
    return claims


def string_claim(claims: dict[str, Any], claim: str) -> str:
    """Return a claim that is a string: 1, true and "1" must not become the same caller.

    Raises:
        Unauthenticated: The claim is missing, empty or not a string.
    """
    value = claims.get(claim)
    if not isinstance(value, str) or not value:
        raise Unauthenticated(f"the token's claim {claim} does not name a caller; it must be a non-empty string")
    return value


def unverified_header(token: str) -> dict[str, Any]:
    """Return the header of a token, which names its key.

    Raises:
        Unauthenticated: It is not a token.
    """
    _reject_long_token(token)
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        raise Unauthenticated(NOT_VALID_FOR_APP) from None


def _reject_long_token(token: str) -> None:
    if len(token) > _MAX_TOKEN_CHARACTERS:
        raise Unauthenticated(f"the token is longer than {_MAX_TOKEN_CHARACTERS} characters")
