"""`callers: {type: wechat}`: a mini-program's user, by the code that wx.login gave (help page `code2Session`).

The code is good once; what we answer with is a session of our own, to be sent in `X-Session` from then on.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import aiohttp

from signer.callers.caller import Caller
from signer.callers.session_tokens import SessionTokens
from signer.circuit_breaker import CircuitBreaker
from signer.errors import Forbidden, IdentityUnavailable, Problem, RateLimited, Unauthenticated
from signer.outbound import read_response
from signer.request_context import RequestContext

log = logging.getLogger("oss_signer.callers")

_PATH = "/sns/jscode2session"
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_CODE_CHARACTERS = 512
_FAILURE_THRESHOLD = 5
_TRIAL_SECONDS = 2.0
"""While the circuit is open, one login in this time is tried at WeChat; the others fail at once."""
_BUSY = -1
_MOST_ERRCODE = 10**9

_LOGIN_AGAIN = "call wx.login again and send its new code in X-WX-Code"


class WeChatCheck:
    def __init__(
        self,
        outbound: aiohttp.ClientSession,
        sessions: SessionTokens,
        *,
        app_id: str,
        secret: str,
        endpoint: str,
        timeout_seconds: float,
    ) -> None:
        """`outbound` is the session that all calls of the service share; `app_id` is the one that WeChat knows."""
        self._outbound = outbound
        self._sessions = sessions
        self._app_id = app_id
        self._secret = secret
        self._url = endpoint.rstrip("/") + _PATH
        self._timeout_seconds = timeout_seconds
        self._breaker = CircuitBreaker(
            failure_threshold=_FAILURE_THRESHOLD, first_delay_seconds=_TRIAL_SECONDS, max_delay_seconds=_TRIAL_SECONDS
        )

    def presented(self, context: RequestContext) -> bool:
        return context.has_header("X-Session") or context.has_header("X-WX-Code") or bool(context.login_code)

    async def identify(self, context: RequestContext) -> Caller:
        """A session needs nothing of WeChat; only a code is sent there. Of both, the code is newer."""
        session = context.header("X-Session")
        code = context.header("X-WX-Code") or context.login_code
        if not code:
            if session is None:
                raise Unauthenticated("call wx.login and send its code in X-WX-Code, or the session that answered it")
            return self._sessions.resume(session)
        if len(code) > _MAX_CODE_CHARACTERS or not code.isascii():
            raise Unauthenticated(f"this is no code of wx.login; {_LOGIN_AGAIN}")
        return self._sessions.begin(await self._openid(code))

    async def _openid(self, code: str) -> str:
        if not self._breaker.allow_call():
            raise _away()
        answer = await self._answer(code)
        # 0 and none at all are success.
        errcode, openid = answer.get("errcode") or 0, answer.get("openid")
        if errcode == _BUSY or (errcode == 0 and not (isinstance(openid, str) and openid)):
            self._failed("busy" if errcode == _BUSY else "no answer")
            raise _away()
        self._breaker.record_success()
        if errcode != 0:
            raise self._refusal(errcode)
        return str(openid)

    def _failed(self, reason: str) -> None:
        self._breaker.record_failure()
        log.warning("WeChat cannot be asked", extra={"wechat_app": self._app_id, "reason": reason})

    async def _answer(self, code: str) -> dict[str, Any]:
        """Empty for none. No exception leaves here: aiohttp's hold the URL, and so the secret."""
        query = {"appid": self._app_id, "secret": self._secret, "js_code": code, "grant_type": "authorization_code"}
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._outbound.get(self._url, params=query, allow_redirects=False) as response,
            ):
                # Its Content-Type is text/plain.
                answer = (
                    json.loads(await read_response(response, _MAX_ANSWER_BYTES)) if response.status == 200 else None
                )
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, RecursionError):
            return {}
        return answer if isinstance(answer, dict) else {}

    def _refusal(self, errcode: object) -> Problem:
        """WeChat's error codes as clear answers."""
        match errcode:
            case 40029:
                return Unauthenticated(f"the code is invalid or older than 5 minutes; {_LOGIN_AGAIN}")
            case 40163:
                return Unauthenticated(f"the code was used already; {_LOGIN_AGAIN}")
            case 45011:
                return RateLimited(
                    "WeChat takes 100 logins a minute of one user; keep the session", retry_after_seconds=60
                )
            case 40226:
                return Forbidden("WeChat blocks this user's login as risky")
        number = errcode if isinstance(errcode, int) and abs(errcode) < _MOST_ERRCODE else None
        log.error("WeChat refuses this app", extra={"wechat_app": self._app_id, "errcode": number})
        if errcode in (40013, 40125):
            return IdentityUnavailable(
                "WeChat does not take this app's id or secret; its operators have to mend it", retry_after_seconds=60
            )
        return IdentityUnavailable(f"WeChat refuses this app (errcode {number})", retry_after_seconds=60)


def _away() -> IdentityUnavailable:
    return IdentityUnavailable(
        "WeChat cannot be asked right now; try again shortly", retry_after_seconds=_TRIAL_SECONDS
    )
