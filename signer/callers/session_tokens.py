"""Sessions of our own: short tokens, signed, bound to an app and a caller, so that a wx.login code is used once.

The key is made from the app's WeChat secret, so that all signers that share the definitions take each other's sessions.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256

import jwt

from signer.callers.caller import Caller, Session
from signer.callers.jwt_verification import VerifiedToken, check, text_in
from signer.callers.verification_keys import VerificationKey
from signer.errors import Unauthenticated

_MAX_OWN_CHARACTERS = 512
"""No session of ours is longer."""
_MOST_SECONDS_SINCE_LOGIN = 7 * 86400
"""A session is renewed for so long, so that a stolen one is not good for ever."""


class SessionTokens:
    def __init__(self, app_id: str, secret: str, life: timedelta, *, now: Callable[[], float] = time.time) -> None:
        self._app_id = app_id
        self._key = VerificationKey(hmac.digest(secret.encode(), b"oss-signer session", sha256), "HS256")
        self._life_seconds = int(life.total_seconds())
        self._now = now

    def begin(self, caller: str) -> Caller:
        """The caller, who has just logged in, with a new session."""
        return self._begin(caller, self._now())

    def resume(self, token: str) -> Caller:
        """The caller of a session; with a new one once half of it is over. Raises `Unauthenticated`."""
        caller, proof = _known(self, token) if len(token) <= _MAX_OWN_CHARACTERS else self._read(token)
        now = self._now()
        if proof.ends_at <= now:
            raise _over()
        fresh = proof.ends_at - now >= self._life_seconds / 2
        if fresh or now - proof.login_at > _MOST_SECONDS_SINCE_LOGIN:
            return caller
        return self._begin(proof.caller, proof.login_at)

    def _begin(self, caller: str, login_at: float) -> Caller:
        ends_at = int(self._now()) + self._life_seconds
        claims = {"sub": caller, "aud": self._app_id, "exp": ends_at, "auth_time": int(login_at)}
        token = jwt.encode(claims, self._key.value, algorithm=self._key.algorithm)
        return Caller(caller, Session(token, self._life_seconds))

    def _read(self, token: str) -> tuple[Caller, VerifiedToken]:
        try:
            claims = check(token, self._key, audience=self._app_id)
            proof = VerifiedToken(text_in(claims, "sub"), claims["exp"], float(claims["auth_time"]))
        except (Unauthenticated, KeyError):
            raise _over() from None
        return Caller(proof.caller), proof


@lru_cache(maxsize=100_000)
def _known(sessions: SessionTokens, token: str) -> tuple[Caller, VerifiedToken]:
    """A client sends the same session again and again. About 60 MB when full; refusals are not kept."""
    return sessions._read(token)


def _over() -> Unauthenticated:
    return Unauthenticated(
        "the session is over or is not one of this app's; call wx.login and send its code in X-WX-Code"
    )
