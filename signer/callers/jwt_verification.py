"""Verify JSON Web Tokens with PyJWT, and cache the verified ones: a client sends the same token with each request.

See: https://www.rfc-editor.org/rfc/rfc7519
"""

import contextlib
import os
import time
from collections.abc import Callable, Collection, Sequence
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
_NOT_VALID = "the token is not valid for this app"


class WrongSignature(Unauthenticated):
    """A token is signed with none of the keys that it was verified with."""


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


@dataclass(frozen=True, slots=True)
class JwtRules:
    """What a token must state."""

    claim: str = "sub"
    """The claim that names the caller."""
    issuer: str | None = None
    """The required `iss` claim, or None for any."""
    audience: str | None = None
    """What a token's `aud` claim must name; without it, tokens with such a claim are rejected."""
    leeway_seconds: float = 30.0
    """How far the issuer's clock may be off."""


def verify_jwt(token: str, keys: Sequence[VerificationKey], rules: JwtRules) -> dict[str, Any]:
    """Verify that one of the keys has signed a token, and return its claims; `exp` is in epoch seconds.

    Only a key's own algorithm is accepted, so neither `none` nor HS256 with a public key as its secret is. Raise
    `WrongSignature` for another key, or else `Unauthenticated`; the text contains nothing of the token.

    See: https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3
    """
    _reject_long_token(token)
    for key in keys:
        with contextlib.suppress(jwt.InvalidSignatureError):
            claims = _decode(token, key, rules)
            claims["exp"] = float(min(int(claims["exp"]), _MAX_EXPIRATION))
            return claims
    raise WrongSignature(f"{_NOT_VALID}: its signature is not of the issuer's key")


def _decode(token: str, key: VerificationKey, rules: JwtRules) -> dict[str, Any]:
    try:
        return jwt.decode(
            token,
            key.value,
            algorithms=[key.algorithm],
            audience=rules.audience,
            issuer=rules.issuer,
            leeway=rules.leeway_seconds,
            # The claim that names the caller need not be `sub`; `string_claim` checks its type.
            options={"require": ["exp"], "verify_sub": False, "verify_jti": False, "enforce_minimum_key_length": True},
        )
    except jwt.InvalidSignatureError:
        raise
    except jwt.ExpiredSignatureError:
        problem = "the token has expired; get a new one"
    except jwt.ImmatureSignatureError:
        problem = "the token is not valid yet; check the clocks of the issuer and the signer"
    except jwt.InvalidAudienceError:
        why = "this app's definitions name no audience" if rules.audience is None else "it is for another audience"
        problem = f"the token's aud claim does not match: {why}"
    except jwt.InvalidIssuerError:
        problem = "the token's iss claim does not match the issuer of this app"
    except jwt.MissingRequiredClaimError as error:
        problem = f"the token has no {error.claim} claim"
    except jwt.InvalidAlgorithmError:
        problem = f"{_NOT_VALID}: its algorithm is not {key.algorithm}"
    except (jwt.PyJWTError, ValueError, TypeError):
        problem = f"{_NOT_VALID}: it is malformed"
    raise Unauthenticated(problem)


def string_claim(claims: dict[str, Any], claim: str) -> str:
    """Return a claim that must be a non-empty string: 1, true and "1" must not become the same caller."""
    value = claims.get(claim)
    if not isinstance(value, str) or not value:
        raise Unauthenticated(f"the token's claim {claim} does not name a caller; it must be a non-empty string")
    return value


def named_key(token: str, algorithms: Collection[str]) -> tuple[str | None, str]:
    """Return the `kid` of a token that is not verified yet, and its algorithm, which must be one of these."""
    _reject_long_token(token)
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        raise Unauthenticated(f"{_NOT_VALID}: it is malformed") from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise Unauthenticated(f"{_NOT_VALID}: its algorithm is not {' or '.join(algorithms)}")
    return header.get("kid"), algorithm


def _reject_long_token(token: str) -> None:
    if len(token) > _MAX_TOKEN_CHARACTERS:
        raise Unauthenticated(f"the token is longer than {_MAX_TOKEN_CHARACTERS} characters")
