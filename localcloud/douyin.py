"""Douyin's API for the servers of mini-programs: code2Session, on the server of WeChat.

See: https://developer.open-douyin.com/docs/resource/zh-CN/mini-app/develop/server/log-in/code-2-session

Tests play the phone under `/-/`, on each of the local cloud's servers:
- `PUT /-/douyin/apps/{appid}` with `{"secret": "..."}` creates a mini-program, or changes its secret.
- `POST /-/douyin/codes` with `{"appid": "...", "user": "any name"}` is this user's tt.login and responds
  `{"code": "..."}`, valid once, for 3 minutes.

| err_no | when                                                                                             |
|--------|--------------------------------------------------------------------------------------------------|
| 40015  | an appid that does not exist                                                                     |
| 40017  | a wrong secret                                                                                   |
| 40018  | a code that was never issued, was used, is another mini-program's, or is older than 3 minutes     |
| 40014  | a parameter is missing                                                                           |
| -1     | system error: the fault `throttling`                                                             |

Anonymous codes are not implemented: a request with one has status 501.
"""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from aiohttp import web
from cachetools import FIFOCache

from localcloud.control_json import bad_request, read_json
from localcloud.world import World

PATH = "/api/apps/v2/jscode2session"
_APP_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_CODE_LIFETIME = timedelta(minutes=3)
_MAX_CODES = 100_000


@dataclass(slots=True)
class _Code:
    app_id: str
    user: str
    given_at: datetime


class Douyin:
    def __init__(self, world: World) -> None:
        self._world = world
        self._secrets: dict[str, str] = {}
        self._codes: FIFOCache[str, _Code] = FIFOCache(_MAX_CODES)
        """The codes that were not used."""

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.code2session)]

    def control_routes(self) -> list[web.RouteDef]:
        return [web.put("/-/douyin/apps/{appid}", self.set_app), web.post("/-/douyin/codes", self.log_in)]

    async def named(self, request: web.Request) -> tuple[str, str]:
        """Return the action and the mini-program, for `/-/calls`."""
        if request.path != PATH:
            return "", ""
        body = await read_json(request)
        app_id = body.get("appid") if isinstance(body, dict) else None
        return "douyinCode2Session", app_id if isinstance(app_id, str) else ""

    async def code2session(self, request: web.Request) -> web.Response:
        self._world.counts["wechat.douyinCode2Session"] += 1
        body = await read_json(request)
        given = body if isinstance(body, dict) else {}
        if given.get("anonymous_code"):
            return web.json_response({"error": "anonymous_code is not implemented"}, status=501)
        texts = [given.get(name) for name in ("appid", "secret", "code")]
        if not all(isinstance(each, str) and each for each in texts):
            return _error(40014, "missing parameter")
        app_id, secret, text = map(str, texts)
        if app_id not in self._secrets:
            return _error(40015, "bad appid")
        if secret != self._secrets[app_id]:
            return _error(40017, "bad secret")
        code = self._codes.get(text)
        if code is None or code.app_id != app_id or self._world.now() - code.given_at > _CODE_LIFETIME:
            return _error(40018, "bad code")
        del self._codes[text]
        return _response(
            0,
            "success",
            session_key=base64.b64encode(secrets.token_bytes(16)).decode(),
            openid=_digest(app_id, code.user),
            unionid=_digest(code.user),
        )

    async def set_app(self, request: web.Request) -> web.Response:
        app_id, body = request.match_info["appid"], await read_json(request)
        secret = body.get("secret") if isinstance(body, dict) and set(body) == {"secret"} else None
        if not (_APP_ID.fullmatch(app_id) and isinstance(secret, str) and secret):
            return bad_request("an appid consists of letters, digits, _ and -; the only member is secret, a text")
        status = 200 if app_id in self._secrets else 201
        self._secrets[app_id] = secret
        return web.json_response({"appid": app_id}, status=status)

    async def log_in(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if not (isinstance(body, dict) and set(body) == {"appid", "user"}):
            return bad_request("the members are appid and user")
        app_id, user = body["appid"], body["user"]
        if not (isinstance(app_id, str) and isinstance(user, str) and user):
            return bad_request("appid and user must be texts")
        if app_id not in self._secrets:
            return bad_request("there is no such mini-program; create it with PUT /-/douyin/apps/{appid}")
        text = secrets.token_urlsafe(32)
        self._codes[text] = _Code(app_id, user, self._world.now())
        return web.json_response({"code": text}, status=201)


def busy_response() -> web.Response:
    return _error(-1, "system error")


def _error(err_no: int, err_tips: str) -> web.Response:
    return _response(err_no, err_tips, session_key="", openid="", unionid="")


def _response(err_no: int, err_tips: str, **data: Any) -> web.Response:
    members = {"anonymous_openid": "", **data}
    return web.json_response(
        {"err_no": err_no, "err_tips": err_tips, "log_id": secrets.token_hex(16).upper(), "data": members}
    )


def _digest(*names: str) -> str:
    """Return an id that depends only on the names."""
    return "_000" + sha256("\n".join(names).encode(errors="surrogatepass")).hexdigest()[:32]
