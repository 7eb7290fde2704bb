"""WeChat's check of pictures and recordings: getStableAccessToken, mediaCheckAsync and the push of its result.

See: https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-access-token/getStableAccessToken.html
See: https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/sec-center/sec-check/mediaCheckAsync.html
See: https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html

`PUT /-/wechat/message-push/{appid}` with `{"url": "...", "token": "..."}` is the form of the console: WeChat sends the
URL a GET request, and the response must be its `echostr`. Messages are plain JSON and are sent once.
`PUT /-/wechat/media-checks/{appid}` with `{"suggest": "risky"}`, `review` or `pass` is the result of the checks that
start from now on; by default `pass`. A file that WeChat cannot download has the errcode -1008 in its result.

| errcode | when                                                            |
|---------|-----------------------------------------------------------------|
| 40001   | the access token is wrong or has expired                        |
| 40002, 40013, 40125 | a wrong grant_type, appid or secret                 |
| 47001   | the body is not JSON, or a parameter has another type           |
| 61010   | the user has not used the mini-program in the last two hours    |
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha1
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from localcloud.control_json import bad_request, read_json
from localcloud.wechat import WeChat, WeChatError, refusal_response
from localcloud.world import World

_TOKEN_SECONDS = 7200
_TIMEOUT = aiohttp.ClientTimeout(total=5)
_MAX_FILE_BYTES = 10 * 2**20
_VISIT_LIFETIME = timedelta(hours=2)
_LABELS = {"pass": 100, "review": 20002, "risky": 20002}
"""The label of each suggestion: 100 is normal, 20002 is pornographic."""
_FETCH_FAILED = -1008


@dataclass(frozen=True, slots=True)
class MessagePush:
    url: str
    token: str

    def query(self) -> dict[str, str]:
        """Return what shows that a request is WeChat's."""
        timestamp, nonce = str(int(time.time())), str(secrets.randbelow(10**10))
        text = "".join(sorted((self.token, timestamp, nonce)))
        return {"signature": sha1(text.encode()).hexdigest(), "timestamp": timestamp, "nonce": nonce}  # noqa: S324


class MediaChecks:
    def __init__(self, world: World, wechat: WeChat) -> None:
        self._world, self._wechat = world, wechat
        self._tokens: dict[str, tuple[str, datetime]] = {}
        """The access token of each mini-program, and when it expires."""
        self._pushes: dict[str, MessagePush] = {}
        self._suggestions: dict[str, str] = {}
        self._running: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/cgi-bin/stable_token", self.get_token),
            web.post("/wxa/media_check_async", self.check),
        ]

    def control_routes(self) -> list[web.RouteDef]:
        return [
            web.put("/-/wechat/message-push/{appid}", self.set_push),
            web.put("/-/wechat/media-checks/{appid}", self.set_suggestion),
        ]

    async def get_token(self, request: web.Request) -> web.Response:
        self._world.counts["wechat.getStableAccessToken"] += 1
        body = await read_json(request)
        if not isinstance(body, dict):
            return _refuse(47001, "data format error")
        if body.get("force_refresh"):
            return _not_implemented("force_refresh")
        try:
            self._wechat.verify_secret(body.get("appid"), body.get("secret"))
        except WeChatError as refused:
            return refusal_response(refused)
        if body.get("grant_type") != "client_credential":
            return _refuse(40002, "invalid grant_type")
        app_id, now = body["appid"], self._world.now()
        token, expires_at = self._tokens.get(app_id, ("", now))
        if expires_at <= now:
            token, expires_at = secrets.token_urlsafe(90), now + timedelta(seconds=_TOKEN_SECONDS)
            self._tokens[app_id] = token, expires_at
        return web.json_response({"access_token": token, "expires_in": int((expires_at - now).total_seconds())})

    async def check(self, request: web.Request) -> web.Response:
        self._world.counts["wechat.mediaCheckAsync"] += 1
        app_id = self._app_of(request.query.get("access_token", ""))
        if app_id is None:
            return _refuse(40001, "invalid credential, access_token is invalid or not latest")
        body = await read_json(request)
        if not isinstance(body, dict) or not _is_check(body):
            return _refuse(47001, "data format error")
        if body["version"] != 2:
            return _not_implemented("a version other than 2")
        visited_at = self._wechat.visits.get(body["openid"])
        if visited_at is None or self._world.now() - visited_at > _VISIT_LIFETIME:
            return _refuse(61010, "code is expired")
        trace_id = f"{int(time.time()):x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
        suggest = self._suggestions.get(app_id, "pass")
        task = asyncio.create_task(self._finish(app_id, trace_id, body["media_url"], suggest))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return web.json_response({"errcode": 0, "errmsg": "ok", "trace_id": trace_id})

    def _app_of(self, token: str) -> str | None:
        now = self._world.now()
        return next((app for app, (each, end) in self._tokens.items() if each == token and now < end), None)

    async def _finish(self, app_id: str, trace_id: str, media_url: str, suggest: str) -> None:
        """Download the file, and push the result to the mini-program's server, if it has set one."""
        push = self._pushes.get(app_id)
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            event: dict[str, Any] = {
                "ToUserName": "gh_0123456789ab",
                "FromUserName": "o" + secrets.token_hex(13),
                "CreateTime": int(time.time()),
                "MsgType": "event",
                "Event": "wxa_media_check",
                "appid": app_id,
                "trace_id": trace_id,
                "version": 2,
            }
            if await _can_download(session, media_url):
                result = {"suggest": suggest, "label": _LABELS[suggest]}
                detail = [{"strategy": "content_model", "errcode": 0, **result, "prob": 90}]
                event |= {"detail": detail, "errcode": 0, "errmsg": "ok", "result": result}
            else:
                event |= {"detail": [], "errcode": _FETCH_FAILED, "errmsg": "download failed; check the media's URL"}
            if push is not None:
                self._world.counts["wechat.messagePush"] += 1
                try:
                    async with session.post(push.url, params=push.query(), json=event) as response:
                        await response.read()
                except (aiohttp.ClientError, TimeoutError):
                    pass

    async def set_push(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if not isinstance(body, dict) or set(body) != {"url", "token"} or not all(map(_is_text, body.values())):
            return bad_request("the members are the texts url and token")
        if urlsplit(body["url"]).scheme not in ("http", "https"):
            return bad_request("url is no HTTP URL")
        push, echo = MessagePush(**body), secrets.token_hex(8)
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.get(push.url, params={**push.query(), "echostr": echo}) as response,
            ):
                if await response.text() != echo:
                    return bad_request("the URL does not respond with echostr")
        except (aiohttp.ClientError, TimeoutError) as error:
            return bad_request(f"the URL does not respond: {type(error).__name__}")
        self._pushes[request.match_info["appid"]] = push
        return web.json_response({"url": push.url})

    async def set_suggestion(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if not isinstance(body, dict) or set(body) != {"suggest"} or body["suggest"] not in tuple(_LABELS):
            return bad_request("the member is suggest: pass, review or risky")
        self._suggestions[request.match_info["appid"]] = body["suggest"]
        return web.json_response(body)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_check(body: dict[str, Any]) -> bool:
    texts = _is_text(body.get("media_url")) and _is_text(body.get("openid"))
    numbers = body.get("media_type") in (1, 2) and body.get("scene") in (1, 2, 3, 4) and "version" in body
    return texts and numbers and urlsplit(body["media_url"]).scheme in ("http", "https")


async def _can_download(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200 and len(await response.read()) <= _MAX_FILE_BYTES
    except (aiohttp.ClientError, TimeoutError):
        return False


def _refuse(errcode: int, errmsg: str) -> web.Response:
    return refusal_response(WeChatError(errcode, errmsg))


def _not_implemented(what: str) -> web.Response:
    return web.json_response({"error": f"{what} is not implemented here"}, status=501)
