"""`type: wechat`: users of a WeChat mini-program, by the code of wx.login.

See: https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from signer.callers.code_login import MAX_RESPONSE_BYTES, CodeLogin, PlatformUnavailable
from signer.errors import Forbidden, Problem, RateLimited
from signer.outbound import fetch_document

_PATH = "/sns/jscode2session"
_BUSY = -1


@dataclass(eq=False, slots=True, kw_only=True)
class WeChatCheck(CodeLogin):
    """Identifies users by their openid."""

    platform: ClassVar[str] = "WeChat"
    login_call: ClassVar[str] = "wx.login"

    secret: str = field(repr=False)
    """The mini-program's AppSecret."""

    async def request_user(self, code: str) -> bytes:
        query = {"appid": self.app_id, "secret": self.secret, "js_code": code, "grant_type": "authorization_code"}
        url = self.endpoint.rstrip("/") + _PATH
        return await fetch_document(self.outbound, url, query=query, max_bytes=MAX_RESPONSE_BYTES)

    def read_user(self, response: dict[str, Any]) -> str:
        # WeChat leaves out errcode, or sends 0, on success.
        errcode, openid = response.get("errcode") or 0, response.get("openid")
        if errcode == _BUSY:
            raise PlatformUnavailable("busy")
        if errcode != 0:
            raise self._problem(errcode)
        if not (isinstance(openid, str) and openid):
            raise PlatformUnavailable("no answer")
        return openid

    def _problem(self, errcode: object) -> Problem:
        match errcode:
            case 40029:
                return self.code_problem("the code is invalid or older than 5 minutes")
            case 40163:
                return self.code_problem("the code was already used")
            case 45011:
                detail = (
                    "WeChat accepts 100 logins per minute of one user; keep the session instead of logging in again"
                )
                return RateLimited(detail, retry_after_seconds=60)
            case 40226:
                return Forbidden("WeChat blocks this user's login as risky")
            case 40013 | 40125:
                return self.app_problem(errcode, "this app's id or secret; its operator must fix app_id or secret")
        return self.app_problem(errcode)
