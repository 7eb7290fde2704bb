"""The local WeChat's check of media: its access token, its refusals, and the pushed result."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from tests.callers.local_wechat import SECRET, LocalWeChat
from tests.callers.stub import stub
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.waiting import wait_until

PUSH_TOKEN = "token-of-the-push"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started() -> AsyncIterator[Cloud]:
    async with aiohttp.ClientSession() as session, local_cloud(session, "--bucket", "photos=cn-hangzhou") as cloud:
        yield cloud


@pytest.fixture
async def wechat(started: Cloud, session: aiohttp.ClientSession) -> AsyncIterator[LocalWeChat]:
    found = LocalWeChat(started.wechat, session)
    yield found
    await found.set_faults()


@dataclass
class AppServer:
    """The server of a mini-program that WeChat pushes messages to."""

    echoes: bool = True
    events: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        parts = sorted((PUSH_TOKEN, request.query["timestamp"], request.query["nonce"]))
        assert request.query["signature"] == sha1("".join(parts).encode()).hexdigest()
        if request.method == "GET":
            return web.Response(text=request.query["echostr"] if self.echoes else "ok")
        self.events.append(await request.json())
        return web.Response(text="success")


@contextlib.asynccontextmanager
async def app_server(wechat: LocalWeChat, app_id: str) -> AsyncIterator[AppServer]:
    """Run the server of a mini-program, and let WeChat push to it."""
    server = AppServer()
    async with stub(server.answer) as running:
        assert await control(wechat, f"message-push/{app_id}", {"url": running.url, "token": PUSH_TOKEN}) == 200
        yield server


async def control(wechat: LocalWeChat, path: str, body: object) -> int:
    async with wechat.session.put(f"{wechat.address}/-/wechat/{path}", json=body) as response:
        assert response.status == 200 or (await response.json())["error"]
        return response.status


async def post(wechat: LocalWeChat, path: str, body: object) -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with wechat.session.post(f"{wechat.address}/{path}", data=data) as response:
        return response.status, json.loads(await response.read())


async def get_token(wechat: LocalWeChat, app_id: str) -> str:
    client = {"grant_type": "client_credential", "appid": app_id, "secret": SECRET}
    _, body = await post(wechat, "cgi-bin/stable_token", client)
    token: str = body["access_token"]
    return token


async def openid(wechat: LocalWeChat, app_id: str) -> str:
    """Let a user visit the mini-program, and return the id."""
    query = {"appid": app_id, "secret": SECRET, "js_code": await wechat.code(app_id)}
    body, _ = await wechat.code2session(**query, grant_type="authorization_code")
    found: str = body["openid"]
    return found


async def check(wechat: LocalWeChat, token: str, **members: Any) -> tuple[int, dict[str, Any]]:
    media = {"media_url": "http://127.0.0.1:1/", "media_type": 2, "version": 2, "scene": 1, "openid": "o", **members}
    return await post(wechat, f"wxa/media_check_async?access_token={token}", media)


async def test_a_token_is_the_same_until_it_expires(wechat: LocalWeChat) -> None:
    app = await wechat.app()
    token = await get_token(wechat, app)
    assert await get_token(wechat, app) == token
    await wechat.set_faults({"kind": "clock", "offset_seconds": 7201})
    assert await get_token(wechat, app) != token


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [({"secret": "x"}, 40125), ({"appid": "wx0"}, 40013), ({"appid": 5}, 40013), ({"grant_type": "x"}, 40002)],
)
async def test_a_wrong_client_gets_no_token(wechat: LocalWeChat, changes: dict[str, Any], errcode: int) -> None:
    client = {"grant_type": "client_credential", "appid": await wechat.app(), "secret": SECRET, **changes}
    assert (await post(wechat, "cgi-bin/stable_token", client))[1]["errcode"] == errcode


async def test_what_is_not_played_is_answered_501(wechat: LocalWeChat) -> None:
    app = await wechat.app()
    client = {"grant_type": "client_credential", "appid": app, "secret": SECRET, "force_refresh": True}
    assert (await post(wechat, "cgi-bin/stable_token", client))[0] == 501
    token, user = await get_token(wechat, app), await openid(wechat, app)
    assert (await check(wechat, token, openid=user, version=1))[0] == 501


@pytest.mark.parametrize("suggest", ["pass", "review", "risky"])
async def test_a_result_is_pushed(wechat: LocalWeChat, started: Cloud, suggest: str) -> None:
    app = await wechat.app()
    async with app_server(wechat, app) as server:
        if suggest != "pass":
            assert await control(wechat, f"media-checks/{app}", {"suggest": suggest}) == 200
        media = f"{started.oss}/-/objects"
        members = {"openid": await openid(wechat, app), "media_url": media}
        status, body = await check(wechat, await get_token(wechat, app), **members)
        assert (status, body["errcode"]) == (200, 0)
        await wait_until(lambda: server.events)
    [event] = server.events
    assert (event["MsgType"], event["Event"], event["appid"]) == ("event", "wxa_media_check", app)
    assert (event["trace_id"], event["version"], event["errcode"]) == (body["trace_id"], 2, 0)
    assert event["result"]["suggest"] == event["detail"][0]["suggest"] == suggest


async def test_a_file_that_cannot_be_downloaded_has_no_result(wechat: LocalWeChat, started: Cloud) -> None:
    app = await wechat.app()
    async with app_server(wechat, app) as server:
        user, token = await openid(wechat, app), await get_token(wechat, app)
        for url in (f"{started.oss}/photos/none.jpg", "http://127.0.0.1:1/"):
            assert (await check(wechat, token, openid=user, media_url=url))[1]["errcode"] == 0
        await wait_until(lambda: len(server.events) == 2)
    assert [(each["errcode"], each["detail"], "result" in each) for each in server.events] == [(-1008, [], False)] * 2


async def test_wrong_checks_are_refused(wechat: LocalWeChat) -> None:
    app = await wechat.app()
    token, user = await get_token(wechat, app), await openid(wechat, app)
    assert (await check(wechat, "x", openid=user))[1]["errcode"] == 40001
    for members in ({"media_url": "file:///etc/passwd"}, {"media_type": 3}, {"scene": 0}, {"openid": ""}):
        assert (await check(wechat, token, **{"openid": user, **members}))[1]["errcode"] == 47001
    assert (await post(wechat, f"wxa/media_check_async?access_token={token}", b"x"))[1]["errcode"] == 47001
    assert (await check(wechat, token))[1]["errcode"] == 61010
    await wechat.set_faults({"kind": "clock", "offset_seconds": 7199})
    assert (await check(wechat, token, openid=user))[1]["errcode"] == 0
    await wechat.set_faults({"kind": "clock", "offset_seconds": 7201})
    assert (await check(wechat, await get_token(wechat, app), openid=user))[1]["errcode"] == 61010


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("message-push/wx1", {"url": "http://127.0.0.1:1/", "token": "x"}),
        ("message-push/wx1", {"url": "ftp://127.0.0.1/", "token": "x"}),
        ("message-push/wx1", {"url": "http://127.0.0.1:1/"}),
        ("message-push/wx1", []),
        ("media-checks/wx1", {"suggest": "bad"}),
        ("media-checks/wx1", {"suggest": []}),
        ("media-checks/wx1", {}),
    ],
)
async def test_wrong_settings_are_refused(wechat: LocalWeChat, path: str, body: object) -> None:
    assert await control(wechat, path, body) == 400


async def test_a_server_that_does_not_echo_gets_no_push(wechat: LocalWeChat) -> None:
    async with stub(AppServer(echoes=False).answer) as running:
        assert await control(wechat, "message-push/wx1", {"url": running.url, "token": PUSH_TOKEN}) == 400
