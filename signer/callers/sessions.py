"""Sessions of our own: short tokens, signed, bound to an app and a caller, so that a wx.login code is used once.

The key is made from the app's WeChat secret, so that all signers that share the definitions take each other's sessions.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

import jwt

from signer.callers.keys import Key
from signer.callers.protocol import Caller, Session
from signer.callers.tokens import Proof, Remembered, check, text_in
from signer.errors import Unauthenticated

_MOST_SECONDS_SINCE_LOGIN = 7 * 86400
"""A session is renewed for so long, so that a stolen one is not good for ever."""


class Sessions:
    def __init__(self, app_id: str, secret: str, life: timedelta, *, now: Callable[[], float] = time.time) -> None:
        self._app_id = app_id
        self._key = Key(hmac.digest(secret.encode(), b"oss-signer session", sha256), "HS256")
        self._life_seconds = int(life.total_seconds())
        self._now = now
        self._remembered = Remembered(now=now)

    def begin(self, caller: str) -> Caller:
        """The caller, who has just logged in, with a new session."""
        return self._begin(caller, self._now())

    def resume(self, token: str) -> Caller:
        """The caller of a session; with a new one once half of it is over. Raises `Unauthenticated`."""
        proof = self._remembered.get(token)
        if proof is None:
            proof = self._proof(token)
            self._remembered.put(token, proof)
        now = self._now()
        fresh = proof.ends_at - now >= self._life_seconds / 2
        if fresh or now - proof.login_at > _MOST_SECONDS_SINCE_LOGIN:
            return Caller(proof.caller)
        return self._begin(proof.caller, proof.login_at)

    def _begin(self, caller: str, login_at: float) -> Caller:
        ends_at = int(self._now()) + self._life_seconds
        claims = {"sub": caller, "aud": self._app_id, "exp": ends_at, "auth_time": int(login_at)}
        token = jwt.encode(claims, self._key.value, algorithm=self._key.algorithm)
        return Caller(caller, Session(token, self._life_seconds))

    def _proof(self, token: str) -> Proof:
        try:
            claims = check(token, self._key, audience=self._app_id)
            return Proof(text_in(claims, "sub"), claims["exp"], float(claims["auth_time"]))
        except (Unauthenticated, KeyError):
            raise Unauthenticated(
                "the session is over or is not one of this app's; call wx.login and send its code in X-WX-Code"
            ) from None
