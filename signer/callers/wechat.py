"""`callers: {type: wechat}`: a mini-program's user, by the code that wx.login gave (help page `code2Session`).

The code is good once; what we answer with is a session of our own, to be sent in `X-Session` from then on.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp

from signer.callers.protocol import Caller, Evidence
from signer.callers.sessions import Sessions
from signer.errors import Forbidden, IdentityUnavailable, Problem, RateLimited, Unauthenticated
from signer.outbound import whole_body

_PATH = "/sns/jscode2session"
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_CODE_CHARACTERS = 512
_AT_ONCE = 64
_FAILURES_UNTIL_REST = 5
_REST_SECONDS = 2.0
"""After so many failures in a row WeChat is left alone for so long; new callers are told at once to come again."""

_LOGIN_AGAIN = "call wx.login again and send its new code in X-WX-Code"


class WeChat:
    """`outbound` is the session that all calls of the service share."""

    def __init__(
        self,
        outbound: aiohttp.ClientSession,
        sessions: Sessions,
        *,
        app_id: str,
        secret: str,
        endpoint: str,
        timeout_seconds: float,
    ) -> None:
        self._outbound = outbound
        self._sessions = sessions
        self._app_id = app_id
        self._secret = secret
        self._url = endpoint + _PATH
        self._timeout_seconds = timeout_seconds
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._failures = 0
        self._rests_until = 0.0

    def presented(self, evidence: Evidence) -> bool:
        return "X-Session" in evidence.headers or self._code(evidence) is not None

    async def identify(self, evidence: Evidence) -> Caller:
        """A session needs nothing of WeChat; only a code is sent there."""
        session = evidence.headers.get("X-Session")
        code = self._code(evidence)
        if session and code is None:
            return self._sessions.resume(session)
        if code is None:
            raise Unauthenticated("call wx.login and send its code in X-WX-Code, or the session that answered it")
        if len(code) > _MAX_CODE_CHARACTERS or not code.isascii():
            raise Unauthenticated(f"this is no code of wx.login; {_LOGIN_AGAIN}")
        return self._sessions.begin(await self._openid(code))

    @staticmethod
    def _code(evidence: Evidence) -> str | None:
        return evidence.headers.get("X-WX-Code") or evidence.code or None

    async def _openid(self, code: str) -> str:
        if time.monotonic() < self._rests_until:
            raise self._away()
        try:
            async with asyncio.timeout(self._timeout_seconds), self._places:
                answer = await self._exchange(code)
            openid = answer.get("openid")
            refusal = _refusal(answer)
        except (TimeoutError, aiohttp.ClientError, ValueError, OSError):
            refusal, openid = self._away(), None
        if isinstance(refusal, IdentityUnavailable):
            self._failures += 1
            if self._failures >= _FAILURES_UNTIL_REST:
                self._rests_until = time.monotonic() + _REST_SECONDS
            raise refusal
        self._failures = 0
        if refusal is not None:
            raise refusal
        if not isinstance(openid, str) or not openid:
            raise self._away()
        return openid

    async def _exchange(self, code: str) -> dict[str, Any]:
        query = {"appid": self._app_id, "secret": self._secret, "js_code": code, "grant_type": "authorization_code"}
        async with self._outbound.get(self._url, params=query, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError("no answer of code2Session")
            body = await whole_body(response, _MAX_ANSWER_BYTES)
        answer = json.loads(body)
        if not isinstance(answer, dict):
            raise ValueError("no answer of code2Session")
        return answer

    @staticmethod
    def _away() -> IdentityUnavailable:
        return IdentityUnavailable("WeChat cannot be asked right now; try again shortly", retry_after_seconds=2)


def _refusal(answer: dict[str, Any]) -> Problem | None:
    """WeChat's error codes as clear answers; 0 or none at all is success."""
    code = answer.get("errcode", 0)
    match code:
        case 0:
            return None
        case 40029:
            return Unauthenticated(f"the code is invalid or older than 5 minutes; {_LOGIN_AGAIN}")
        case 40163:
            return Unauthenticated(f"the code was used already; {_LOGIN_AGAIN}")
        case 45011:
            return RateLimited("WeChat takes 100 logins a minute of one user; keep the session", retry_after_seconds=60)
        case 40226:
            return Forbidden("WeChat blocks this user's login as risky")
        case 40013 | 40125:
            return IdentityUnavailable(
                "WeChat does not take this app's id or secret; its operators have to mend it", retry_after_seconds=60
            )
        case _:
            return IdentityUnavailable("WeChat is busy; try again shortly", retry_after_seconds=2)
