"""`type: wechat`: users of a mini-program, by the code of wx.login; it is valid once, then a session token replaces it.

See: https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from signer.callers.caller import Caller
from signer.callers.session_tokens import SessionTokens
from signer.circuit_breaker import CircuitBreaker
from signer.errors import Forbidden, IdentityUnavailable, Problem, RateLimited, Unauthenticated
from signer.outbound import fetch_document
from signer.request_context import RequestContext

log = logging.getLogger("oss_signer.callers")

_PATH = "/sns/jscode2session"
_MAX_RESPONSE_BYTES = 64 * 1024
_MAX_CODE_CHARACTERS = 512
_FAILURE_THRESHOLD = 5
_TRIAL_SECONDS = 2.0
"""While the circuit is open, one login in this time is tried at WeChat; the others fail at once."""
_BUSY = -1
_MAX_ERRCODE = 10**9
_LOGIN_AGAIN = "call wx.login again and send its new code in X-WX-Code"


@dataclass(eq=False, slots=True, kw_only=True)
class WeChatCheck:
    """Identifies users by their session, or by their code at WeChat. A session needs no call to WeChat."""

    outbound: aiohttp.ClientSession
    sessions: SessionTokens
    app_id: str
    """The mini-program's id at WeChat."""
    secret: str = field(repr=False)
    """The mini-program's AppSecret."""
    endpoint: str
    timeout_seconds: float
    admit_login: Callable[[RequestContext[Any, Any]], Awaitable[None]]
    """Awaited before each call of WeChat; raises `RateLimited` if there are too many."""
    _breaker: CircuitBreaker = field(init=False)

    def __post_init__(self) -> None:
        self._breaker = CircuitBreaker(
            failure_threshold=_FAILURE_THRESHOLD, first_delay_seconds=_TRIAL_SECONDS, max_delay_seconds=_TRIAL_SECONDS
        )

    def has_credential(self, context: RequestContext) -> bool:
        return context.has_header("X-Session") or context.has_header("X-WX-Code") or bool(context.login_code)

    async def identify(self, context: RequestContext) -> Caller:
        session = context.header("X-Session")
        code = context.header("X-WX-Code") or context.login_code
        # If the request has both, the code is newer.
        if not code:
            if session is None:
                raise Unauthenticated("call wx.login and send its code in X-WX-Code, or send a session in X-Session")
            return self.sessions.resume(session)
        if len(code) > _MAX_CODE_CHARACTERS or not code.isascii():
            raise Unauthenticated(f"this is not a code of wx.login; {_LOGIN_AGAIN}")
        await self.admit_login(context)
        return self.sessions.start(await self._openid(code))

    async def _openid(self, code: str) -> str:
        if not self._breaker.allow_call():
            raise _unavailable()
        response = await self._code2session(code)
        # WeChat leaves out errcode, or sends 0, on success.
        errcode, openid = response.get("errcode") or 0, response.get("openid")
        if errcode == _BUSY or (errcode == 0 and not (isinstance(openid, str) and openid)):
            self._breaker.record_failure()
            reason = "busy" if errcode == _BUSY else "no answer"
            log.warning("WeChat unavailable", extra={"wechat_app": self.app_id, "reason": reason})
            raise _unavailable()
        self._breaker.record_success()
        if errcode != 0:
            raise self._problem(errcode)
        return str(openid)

    async def _code2session(self, code: str) -> dict[str, Any]:
        """Return the response, or an empty one on failure: aiohttp's exceptions contain the URL with the secret."""
        query = {"appid": self.app_id, "secret": self.secret, "js_code": code, "grant_type": "authorization_code"}
        try:
            async with asyncio.timeout(self.timeout_seconds):
                body = await fetch_document(
                    self.outbound, self.endpoint.rstrip("/") + _PATH, query=query, max_bytes=_MAX_RESPONSE_BYTES
                )
            # The Content-Type of the JSON is text/plain.
            document = json.loads(body)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    def _problem(self, errcode: object) -> Problem:
        match errcode:
            case 40029:
                return Unauthenticated(f"the code is invalid or older than 5 minutes; {_LOGIN_AGAIN}")
            case 40163:
                return Unauthenticated(f"the code was already used; {_LOGIN_AGAIN}")
            case 45011:
                detail = (
                    "WeChat accepts 100 logins per minute of one user; keep the session instead of logging in again"
                )
                return RateLimited(detail, retry_after_seconds=60)
            case 40226:
                return Forbidden("WeChat blocks this user's login as risky")
        number = errcode if isinstance(errcode, int) and abs(errcode) < _MAX_ERRCODE else None
        log.error("WeChat rejected the app", extra={"wechat_app": self.app_id, "errcode": number})
        reason = f"WeChat rejects this app (errcode {number})"
        if errcode in (40013, 40125):
            reason = "WeChat rejects this app's id or secret; its operator must fix app_id or secret"
        return IdentityUnavailable(reason, retry_after_seconds=60)


def _unavailable() -> IdentityUnavailable:
    return IdentityUnavailable(
        "WeChat is unavailable; retry after the seconds in Retry-After", retry_after_seconds=_TRIAL_SECONDS
    )
