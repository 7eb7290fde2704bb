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

from signer.callers.protocol import Caller, Session
from signer.callers.tokens import Remembered, check
from signer.errors import Unauthenticated

_ALGORITHM = "HS256"


class Sessions:
    def __init__(self, app_id: str, secret: str, life: timedelta, *, now: Callable[[], float] = time.time) -> None:
        self._app_id = app_id
        self._key = hmac.digest(secret.encode(), b"oss-signer session " + app_id.encode(), sha256)
        self._life_seconds = int(life.total_seconds())
        self._now = now
        self._remembered = Remembered(now=now)

    def begin(self, caller: str) -> Caller:
        """The caller, with a new session."""
        ends = int(self._now()) + self._life_seconds
        token = jwt.encode({"sub": caller, "aud": self._app_id, "exp": ends}, self._key, algorithm=_ALGORITHM)
        return Caller(caller, Session(token, self._life_seconds))

    def resume(self, token: str) -> Caller:
        """The caller of a session; with a new one once half of it is over. Raises `Unauthenticated`."""
        known = self._remembered.get(token)
        if known is None:
            try:
                known = check(token, self._key, [_ALGORITHM], audience=self._app_id)
            except Unauthenticated as refused:
                raise Unauthenticated(f"{refused.detail}; call wx.login and send its code in X-WX-Code") from None
            self._remembered.put(token, *known)
        caller, ends = known
        return self.begin(caller) if ends - self._now() < self._life_seconds / 2 else Caller(caller)
