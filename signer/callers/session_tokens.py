"""Session tokens of the signer: signed, bound to an app and a caller, sent instead of a one-time login code.

The key is derived from the app's secret at its platform, so that all signers with the same definitions accept the
tokens.
"""

import hmac
import time
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256

import jwt

from signer.callers.caller import Caller, Session
from signer.callers.jwt_verification import JwtRules, VerifiedToken, string_claim, verify_jwt
from signer.callers.verification_keys import VerificationKey
from signer.errors import Unauthenticated

_MAX_TOKEN_CHARACTERS = 512
"""No issued token is longer."""
_MAX_SECONDS_SINCE_LOGIN = 7 * 86400
"""How long after the login a session is renewed, so that a stolen token does not last forever."""


class SessionTokens:
    """Issues and verifies the session tokens of one app."""

    def __init__(
        self,
        app_id: str,
        secret: str,
        lifetime: timedelta,
        *,
        login_call: str = "wx.login",
        now: Callable[[], float] = time.time,
    ) -> None:
        self._rules = JwtRules(audience=app_id, leeway_seconds=0.0)
        self._key = VerificationKey(hmac.digest(secret.encode(), b"oss-signer session", sha256), "HS256")
        self._lifetime_seconds = int(lifetime.total_seconds())
        self._login_call = login_call
        self._now = now

    def start(self, caller: str) -> Caller:
        """Return a caller that has just logged in, with a new session."""
        return self._issue(caller, self._now())

    def resume(self, token: str) -> Caller:
        """Return the caller of an unexpired session, with a new session token after half of the lifetime."""
        is_short = len(token) <= _MAX_TOKEN_CHARACTERS
        caller, verified = _cached_verification(self, token) if is_short else self.verify(token)
        now = self._now()
        if verified.expires_at <= now:
            raise self._invalid_session()
        is_fresh = verified.expires_at - now >= self._lifetime_seconds / 2
        if is_fresh or now - verified.login_at > _MAX_SECONDS_SINCE_LOGIN:
            return caller
        return self._issue(verified.caller, verified.login_at)

    def verify(self, token: str) -> tuple[Caller, VerifiedToken]:
        """Return the caller of a session token of this app and what the token states, or raise `Unauthenticated`."""
        try:
            claims = verify_jwt(token, [self._key], self._rules)
            verified = VerifiedToken(string_claim(claims, "sub"), claims["exp"], float(claims["auth_time"]))
        except (Unauthenticated, KeyError):
            raise self._invalid_session() from None
        return Caller(verified.caller), verified

    def _issue(self, caller: str, login_at: float) -> Caller:
        expires_at = int(self._now()) + self._lifetime_seconds
        claims = {"sub": caller, "aud": self._rules.audience, "exp": expires_at, "auth_time": int(login_at)}
        token = jwt.encode(claims, self._key.value, algorithm=self._key.algorithm)
        return Caller(caller, Session(token, self._lifetime_seconds))

    def _invalid_session(self) -> Unauthenticated:
        return Unauthenticated(
            f"the session has expired or is not one of this app's; call {self._login_call} and send its code in "
            "X-WX-Code"
        )


@lru_cache(maxsize=100_000)
def _cached_verification(tokens: SessionTokens, token: str) -> tuple[Caller, VerifiedToken]:
    """Verify each token only once, since a client sends it with each request. About 60 MB when full."""
    return tokens.verify(token)
