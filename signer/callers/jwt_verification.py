"""JSON Web Tokens, checked by PyJWT and remembered for as long as they hold: a client sends the same one again."""

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
_LAST_END = 2**53
"""Later ends mean this one, so that each is a number that we can count with."""

NOT_TAKEN = "the token is not one that this app takes"


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token proves."""

    caller: str
    ends_at: float
    """Epoch seconds."""
    login_at: float = 0.0
    """When the caller last proved it by something else than a token of ours, epoch seconds; of sessions only."""


_REMEMBERED: LRUCache[bytes, VerifiedToken] = LRUCache(maxsize=100_000)
"""One for all checks of the process, about 50 MB when full; a token's digest stands for it, however long it is."""


class VerifiedTokenCache:
    """What one check found proven. Another check, even one of the same app, never sees it."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._own = os.urandom(16)

    def get(self, token: str) -> VerifiedToken | None:
        proof = _REMEMBERED.get(self._digest(token))
        return proof if proof is not None and proof.ends_at > self._now() else None

    def put(self, token: str, proof: VerifiedToken) -> None:
        _REMEMBERED[self._digest(token)] = proof

    def _digest(self, token: str) -> bytes:
        return sha256(self._own + token.encode(errors="surrogatepass")).digest()


def check(
    token: str,
    key: VerificationKey,
    *,
    audience: str | None = None,
    issuer: str | None = None,
    leeway_seconds: float = 0.0,
) -> dict[str, Any]:
    """The claims of a token that holds; `exp` is a number of epoch seconds.

    Only the key's own algorithm is tried, so that neither `none` nor a public key taken for a secret gets through. A
    token made for an audience is taken only by who is named in it (RFC 7519, 4.1.3). Raises `Unauthenticated` in words
    that hold nothing of the token.
    """
    _bound(token)
    try:
        claims = jwt.decode(
            token,
            key.value,
            algorithms=[key.algorithm],
            audience=audience,
            issuer=issuer,
            leeway=leeway_seconds,
            # Whether the claim that names the caller is a text is asked when it is read; it need not be `sub`.
            options={"require": ["exp"], "verify_sub": False, "verify_jti": False, "enforce_minimum_key_length": True},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("the token has expired; get a new one") from None
    except jwt.ImmatureSignatureError:
        raise Unauthenticated("the token is not valid yet; is a clock wrong?") from None
    except jwt.InvalidAudienceError:
        why = "this app's definitions name none" if audience is None else "it is not this app's"
        raise Unauthenticated(f"the token is made for an audience: {why}") from None
    except jwt.InvalidIssuerError:
        raise Unauthenticated("the token comes from an issuer that this app does not take") from None
    except jwt.MissingRequiredClaimError as error:
        raise Unauthenticated(f"the token has no {error.claim} claim") from None
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Unauthenticated(NOT_TAKEN) from None
    claims["exp"] = float(min(int(claims["exp"]), _LAST_END))
    return claims


def text_in(claims: dict[str, Any], claim: str) -> str:
    """Raises `Unauthenticated` for anything but a text: 1, true and "1" are not to be the same caller."""
    value = claims.get(claim)
    if not isinstance(value, str) or not value:
        raise Unauthenticated(f"the token's claim {claim} names nobody: it has to be a text")
    return value


def unverified_header(token: str) -> dict[str, Any]:
    """What a token says of the key it wants to be checked with. Raises `Unauthenticated`."""
    _bound(token)
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        raise Unauthenticated(NOT_TAKEN) from None


def _bound(token: str) -> None:
    if len(token) > _MAX_TOKEN_CHARACTERS:
        raise Unauthenticated(f"the token is longer than {_MAX_TOKEN_CHARACTERS} characters")
