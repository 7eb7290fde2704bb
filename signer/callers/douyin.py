"""`type: douyin`: users of a Douyin mini-program, by the code of tt.login.

See: https://developer.open-douyin.com/docs/resource/zh-CN/mini-app/develop/server/log-in/code-2-session
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from signer.callers.code_login import MAX_RESPONSE_BYTES, CodeLogin, PlatformUnavailable
from signer.errors import Problem
from signer.outbound import fetch_document

_PATH = "/api/apps/v2/jscode2session"
_BUSY = -1


@dataclass(eq=False, slots=True, kw_only=True)
class DouyinCheck(CodeLogin):
    """Identifies users by their openid; anonymous codes, of people without an account, are not accepted."""

    platform: ClassVar[str] = "Douyin"
    login_call: ClassVar[str] = "tt.login"

    secret: str = field(repr=False)
    """The mini-program's AppSecret."""

    async def request_user(self, code: str) -> bytes:
        content = {"appid": self.app_id, "secret": self.secret, "code": code}
        url = self.endpoint.rstrip("/") + _PATH
        return await fetch_document(self.outbound, url, json_body=content, max_bytes=MAX_RESPONSE_BYTES)

    def read_user(self, response: dict[str, Any]) -> str:
        errcode, data = response.get("err_no"), response.get("data")
        if errcode == _BUSY:
            raise PlatformUnavailable("busy")
        if errcode is not None and errcode != 0:
            raise self._problem(errcode)
        openid = data.get("openid") if errcode == 0 and isinstance(data, dict) else None
        if not (isinstance(openid, str) and openid):
            raise PlatformUnavailable("no answer")
        return openid

    def _problem(self, errcode: object) -> Problem:
        match errcode:
            case 40018:
                return self.code_problem("the code is invalid, too old or was already used")
            case 40015 | 40017:
                return self.app_problem(errcode, "this app's id or secret; its operator must fix app_id or secret")
        return self.app_problem(errcode)
