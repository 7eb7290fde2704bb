"""WeChat's API for the servers of mini-programs: code2Session.

See: https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html

Tests play the phone under `/-/`, on each of the local cloud's servers:
- `PUT /-/wechat/apps/{appid}` with `{"secret": "..."}` creates a mini-program, or changes its secret. With
  `"open_platform": true` it is bound to an account of the open platform, and its users have a unionid.
- `POST /-/wechat/codes` with `{"appid": "...", "user": "any name"}` is this user's wx.login and responds
  `{"code": "..."}`, valid once, for 5 minutes. With `"risky": true` WeChat blocks the login.

| errcode | when                                                                            |
|---------|---------------------------------------------------------------------------------|
| 40029   | a code that was never issued, is another mini-program's, or older than 5 minutes |
| 40163   | a code that was used                                                            |
| 40226   | a risky login                                                                   |
| 45011   | more than 100 logins of one user in a minute                                    |
| 40013   | an appid that does not exist                                                    |
| 40125   | a wrong secret                                                                  |
| -1      | busy: the fault `throttling`                                                    |
| 41002   | no appid; 41004: no secret; 41008: no js_code; 40002: a wrong grant_type        |

The page documents 40029, 40226, 45011 and -1. Real responses show the others, and that success has no errcode, an error
has status 200, and both are text/plain.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import string
import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from aiohttp import web
from cachetools import FIFOCache, LRUCache

from localcloud.control_json import bad_request, read_json
from localcloud.world import World

_APP_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_CODE_LIFETIME = timedelta(minutes=5)
_CODE_CHARACTERS = string.ascii_letters + string.digits
_LOGINS_A_MINUTE = 100
_MAX_CODES = 100_000
_MAX_USERS = 100_000
_ACTIONS = {
    "/sns/jscode2session": "code2Session",
    "/cgi-bin/stable_token": "getStableAccessToken",
    "/wxa/media_check_async": "mediaCheckAsync",
}
"""The actions by path; media_check.py has the last two."""


@dataclass(frozen=True, slots=True)
class MiniProgram:
    secret: str
    open_platform: bool


@dataclass(slots=True)
class Code:
    app_id: str
    user: str
    risky: bool
    given_at: datetime
    used: bool = False


class WeChatError(Exception):
    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errmsg)
        self.errcode, self.errmsg = errcode, errmsg


class WeChat:
    def __init__(self, world: World) -> None:
        self._world = world
        self._apps: dict[str, MiniProgram] = {}
        self._codes: FIFOCache[str, Code] = FIFOCache(_MAX_CODES)
        self._logins: LRUCache[str, deque[float]] = LRUCache(_MAX_USERS)
        """The logins of each openid in the last minute."""
        self.visits: LRUCache[str, datetime] = LRUCache(_MAX_USERS)
        """The last login of each openid."""

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/sns/jscode2session", self.code2session)]

    def control_routes(self) -> list[web.RouteDef]:
        return [web.put("/-/wechat/apps/{appid}", self.set_app), web.post("/-/wechat/codes", self.log_in)]

    async def named(self, request: web.Request) -> tuple[str, str]:
        """Return the action and the mini-program, for `/-/calls`."""
        return _ACTIONS.get(request.path, ""), request.query.get("appid", "") if request.path in _ACTIONS else ""

    async def code2session(self, request: web.Request) -> web.Response:
        self._world.counts["wechat.code2Session"] += 1
        try:
            return _text_response(self._session(request.query.get))
        except WeChatError as refused:
            return refusal_response(refused)

    def _session(self, given: Any) -> dict[str, object]:
        for name, errcode, errmsg in (
            ("appid", 41002, "appid missing"),
            ("secret", 41004, "appsecret missing"),
            ("js_code", 41008, "missing code"),
        ):
            if not given(name):
                raise WeChatError(errcode, errmsg)
        if given("grant_type") != "authorization_code":
            raise WeChatError(40002, "invalid grant_type")
        app = self.verify_secret(given("appid"), given("secret"))
        code = self._codes.get(given("js_code"))
        if code is None or code.app_id != given("appid") or self._world.now() - code.given_at > _CODE_LIFETIME:
            raise WeChatError(40029, "invalid code")
        if code.used:
            raise WeChatError(40163, "code been used")
        if code.risky:
            raise WeChatError(40226, "code blocked")
        openid = "o" + _digest(code.app_id, code.user)[:27]
        self._count(openid)
        self.visits[openid] = self._world.now()
        code.used = True
        session: dict[str, object] = {
            "session_key": base64.b64encode(secrets.token_bytes(16)).decode(),
            "openid": openid,
        }
        return {**session, "unionid": "o" + _digest(code.user)[:27]} if app.open_platform else session

    def verify_secret(self, app_id: object, secret: object) -> MiniProgram:
        """Return the mini-program, or raise `WeChatError`."""
        app = self._apps.get(app_id) if isinstance(app_id, str) else None
        if app is None:
            raise WeChatError(40013, "invalid appid")
        if secret != app.secret:
            raise WeChatError(40125, "invalid appsecret")
        return app

    def _count(self, openid: str) -> None:
        logins = self._logins.setdefault(openid, deque())
        now = time.monotonic()
        while logins and now - logins[0] >= 60:
            logins.popleft()
        if len(logins) >= _LOGINS_A_MINUTE:
            raise WeChatError(45011, "api minute-quota reach limit  mustslower  retry next minute")
        logins.append(now)

    async def set_app(self, request: web.Request) -> web.Response:
        app_id, body = request.match_info["appid"], await read_json(request)
        known = {"secret": "", "open_platform": False}
        if not (_APP_ID.fullmatch(app_id) and isinstance(body, dict) and set(body) <= set(known)):
            return bad_request(
                "an appid consists of letters, digits, _ and -; the members are secret and open_platform"
            )
        body = {**known, **body}
        if not (isinstance(body["secret"], str) and body["secret"] and isinstance(body["open_platform"], bool)):
            return bad_request("secret must be a text, open_platform true or false")
        status = 200 if app_id in self._apps else 201
        self._apps[app_id] = MiniProgram(**body)
        return web.json_response({"appid": app_id}, status=status)

    async def log_in(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if not isinstance(body, dict) or not {"appid", "user"} <= set(body) <= {"appid", "user", "risky"}:
            return bad_request("the members are appid, user and optionally risky")
        app_id, user, risky = body["appid"], body["user"], body.get("risky", False)
        if not (isinstance(app_id, str) and isinstance(user, str) and user and isinstance(risky, bool)):
            return bad_request("appid and user must be texts, risky true or false")
        if app_id not in self._apps:
            return bad_request("there is no such mini-program; create it with PUT /-/wechat/apps/{appid}")
        text = "0" + "".join(secrets.choice(_CODE_CHARACTERS) for _ in range(31))
        self._codes[text] = Code(app_id, user, risky, self._world.now())
        return web.json_response({"code": text}, status=201)


def refusal_response(refused: WeChatError) -> web.Response:
    rid = f"{int(time.time()):x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
    return _text_response({"errcode": refused.errcode, "errmsg": f"{refused.errmsg}, rid: {rid}"})


def busy_response() -> web.Response:
    return refusal_response(WeChatError(-1, "system error"))


def _text_response(body: dict[str, object]) -> web.Response:
    return web.Response(text=json.dumps(body, separators=(",", ":")), content_type="text/plain")


def _digest(*names: str) -> str:
    """Return a text that depends only on the names."""
    return base64.urlsafe_b64encode(sha256("\n".join(names).encode(errors="surrogatepass")).digest()).decode()
