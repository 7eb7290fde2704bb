"""JSON Web Tokens, checked by PyJWT and remembered for as long as they hold: a client sends the same one again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import jwt
from cachetools import LRUCache

from signer.errors import Unauthenticated

_REMEMBERED = 50_000
_MAX_TOKEN_CHARACTERS = 8192
_MAX_CALLER_CHARACTERS = 128


class Remembered:
    """Callers by the token that proved them, until it ends."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._known: LRUCache[str, tuple[str, float]] = LRUCache(maxsize=_REMEMBERED)

    def get(self, token: str) -> tuple[str, float] | None:
        """The caller, and when the token ends (epoch seconds)."""
        known = self._known.get(token)
        return known if known is not None and known[1] > self._now() else None

    def put(self, token: str, caller: str, ends: float, *, at_most_seconds: float = float("inf")) -> None:
        self._known[token] = (caller, min(ends, self._now() + at_most_seconds))


def check(
    token: str,
    key: Any,
    algorithms: Sequence[str],
    *,
    claim: str = "sub",
    audience: str | None = None,
    issuer: str | None = None,
    leeway_seconds: float = 0.0,
) -> tuple[str, float]:
    """The caller that the token names, and when it ends (epoch seconds).

    Only `algorithms` are tried, all for the one kind of key that `key` is, so that neither `none` nor a public key
    taken for a secret gets through. Raises `Unauthenticated` in words that hold nothing of the token.
    """
    if len(token) > _MAX_TOKEN_CHARACTERS:
        raise Unauthenticated("the token is too long")
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=list(algorithms),
            audience=audience,
            issuer=issuer,
            leeway=leeway_seconds,
            options={"require": ["exp"], "verify_aud": audience is not None},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("the token has expired; get a new one") from None
    except jwt.ImmatureSignatureError:
        raise Unauthenticated("the token is not valid yet; is a clock wrong?") from None
    except jwt.InvalidAudienceError:
        raise Unauthenticated("the token is for somebody else: its audience is not this signer's") from None
    except jwt.InvalidIssuerError:
        raise Unauthenticated("the token comes from an issuer that this app does not take") from None
    except jwt.MissingRequiredClaimError as error:
        raise Unauthenticated(f"the token has no {error.claim} claim") from None
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Unauthenticated("the token is not one that this app takes") from None
    caller = claims.get(claim)
    if not isinstance(caller, str) or not 1 <= len(caller) <= _MAX_CALLER_CHARACTERS:
        raise Unauthenticated(f"the token's claim {claim} names nobody")
    return caller, float(claims["exp"]) + leeway_seconds


def unverified_header(token: str) -> dict[str, Any]:
    """What a token says of the key it wants to be checked with. Raises `Unauthenticated`."""
    if len(token) > _MAX_TOKEN_CHARACTERS:
        raise Unauthenticated("the token is too long")
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        raise Unauthenticated("the token is not one that this app takes") from None
