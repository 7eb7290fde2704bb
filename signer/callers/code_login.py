"""What the logins of all mini-program platforms share: a code is valid once, then a session token replaces it."""

import asyncio
import json
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import aiohttp

from signer.callers.caller import Caller
from signer.callers.session_tokens import SessionTokens
from signer.circuit_breaker import CircuitBreaker
from signer.errors import IdentityUnavailable, Problem, Unauthenticated
from signer.request_context import RequestContext

log = logging.getLogger("oss_signer.callers")

MAX_RESPONSE_BYTES = 64 * 1024
_MAX_CODE_CHARACTERS = 512
_FAILURE_THRESHOLD = 5
_TRIAL_SECONDS = 2.0
"""While the circuit is open, one login in this time is tried at the platform; the others fail at once."""
_REJECTED_RETRY_SECONDS = 60
_MAX_ERRCODE = 10**9
_ERROR_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class PlatformUnavailable(Exception):
    """The response of the platform names no user and is no error of the code or the app; the text is the reason."""


@dataclass(eq=False, slots=True, kw_only=True)
class CodeLogin(ABC):
    """Identifies users by their session, or by their code at the platform. A session needs no call to the platform."""

    platform: ClassVar[str]
    login_call: ClassVar[str]
    """The call of the mini-program that returns a code."""

    outbound: aiohttp.ClientSession
    sessions: SessionTokens
    app_id: str
    """The mini-program's id at the platform."""
    endpoint: str
    timeout_seconds: float
    admit_login: Callable[[RequestContext[Any, Any]], Awaitable[None]]
    """Awaited before each call of the platform; raises `RateLimited` if there are too many."""
    _breaker: CircuitBreaker = field(init=False)

    def __post_init__(self) -> None:
        self._breaker = CircuitBreaker(
            failure_threshold=_FAILURE_THRESHOLD, first_delay_seconds=_TRIAL_SECONDS, max_delay_seconds=_TRIAL_SECONDS
        )

    @abstractmethod
    async def request_user(self, code: str) -> bytes:
        """Return the body of the platform's response to a code, or raise `UnusableResponse` or aiohttp's exceptions."""

    @abstractmethod
    def read_user(self, response: dict[str, Any]) -> str:
        """Return the user's id in a response of the platform, or raise a `Problem` or `PlatformUnavailable`."""

    def has_credential(self, context: RequestContext) -> bool:
        return context.has_header("X-Session") or context.has_header("X-WX-Code") or bool(context.login_code)

    async def identify(self, context: RequestContext) -> Caller:
        session = context.header("X-Session")
        code = context.header("X-WX-Code") or context.login_code
        # If the request has both, the code is newer.
        if not code:
            if session is None:
                raise Unauthenticated(
                    f"call {self.login_call} and send its code in X-WX-Code, or send a session in X-Session"
                )
            return self.sessions.resume(session)
        if len(code) > _MAX_CODE_CHARACTERS or not code.isascii():
            raise self.code_problem(f"this is not a code of {self.login_call}")
        await self.admit_login(context)
        return self.sessions.start(await self._user(code))

    def code_problem(self, reason: str) -> Unauthenticated:
        """Return the problem of a code that the platform does not accept."""
        return Unauthenticated(f"{reason}; call {self.login_call} again and send its new code in X-WX-Code")

    def app_problem(self, errcode: object, wrong: str | None = None) -> IdentityUnavailable:
        """Log and return the problem of an app that the platform rejects.

        Args:
            errcode: the platform's number or name of the error, as the platform sent it.
            wrong: what is wrong and how its operator fixes it, if the error allows a conclusion.
        """
        shown = printable_errcode(errcode)
        log.error("%s rejected the app", self.platform, extra={"platform_app": self.app_id, "errcode": shown})
        reason = f"this app (errcode {shown})" if wrong is None else wrong
        return IdentityUnavailable(f"{self.platform} rejects {reason}", retry_after_seconds=_REJECTED_RETRY_SECONDS)

    async def _user(self, code: str) -> str:
        if not self._breaker.allow_call():
            raise self._unavailable()
        try:
            user = self.read_user(await self._response(code))
        except PlatformUnavailable as error:
            self._breaker.record_failure()
            log.warning("%s unavailable", self.platform, extra={"platform_app": self.app_id, "reason": str(error)})
            raise self._unavailable() from None
        except Problem:
            self._breaker.record_success()
            raise
        self._breaker.record_success()
        return user

    async def _response(self, code: str) -> dict[str, Any]:
        """Return the response, or an empty one on failure: aiohttp's exceptions contain the URL with the secret."""
        try:
            async with asyncio.timeout(self.timeout_seconds):
                # The Content-Type of WeChat's JSON is text/plain.
                document = json.loads(await self.request_user(code))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    def _unavailable(self) -> IdentityUnavailable:
        return IdentityUnavailable(
            f"{self.platform} is unavailable; retry after the seconds in Retry-After",
            retry_after_seconds=_TRIAL_SECONDS,
        )


def printable_errcode(errcode: object) -> int | str | None:
    """Return an error number or name of a platform, or None if it looks like neither."""
    if isinstance(errcode, str) and _ERROR_NAME.fullmatch(errcode):
        return errcode
    return errcode if isinstance(errcode, int) and abs(errcode) < _MAX_ERRCODE else None
