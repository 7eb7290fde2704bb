"""The local WeChat: code2Session as documented and as the real server responds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.callers.local_wechat import SECRET, LocalWeChat
from tests.harness.local_cloud import local_cloud

GRANT = "authorization_code"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address() -> AsyncIterator[str]:
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        yield cloud.wechat


@pytest.fixture
async def wechat(address: str, session: aiohttp.ClientSession) -> AsyncIterator[LocalWeChat]:
    found = LocalWeChat(address, session)
    yield found
    await found.set_faults()


async def exchange(wechat: LocalWeChat, app_id: str, code: str, secret: str = SECRET) -> dict[str, Any]:
    return (await wechat.code2session(appid=app_id, secret=secret, js_code=code, grant_type=GRANT))[0]


async def test_a_code_gives_a_user_and_a_session_key(wechat: LocalWeChat) -> None:
    app = await wechat.app()
    query = {"appid": app, "secret": SECRET, "js_code": await wechat.code(app), "grant_type": GRANT}
    body, answer = await wechat.code2session(**query)
    assert set(body) == {"openid", "session_key"}
    assert (len(body["openid"]), len(body["session_key"])) == (28, 24)
    assert (answer.status, answer.content_type) == (200, "text/plain")
    again = await exchange(wechat, app, await wechat.code(app))
    assert again["openid"] == body["openid"]
    assert again["session_key"] != body["session_key"]
    assert (await exchange(wechat, app, await wechat.code(app, "bert")))["openid"] != body["openid"]
    other = await wechat.app()
    assert (await exchange(wechat, other, await wechat.code(other)))["openid"] != body["openid"]


async def test_an_app_of_the_open_platform_has_unionids_too(wechat: LocalWeChat) -> None:
    users = []
    for app in [await wechat.app(open_platform=True), await wechat.app(open_platform=True)]:
        users.append(await exchange(wechat, app, await wechat.code(app)))
    assert users[0]["unionid"] == users[1]["unionid"]
    assert users[0]["openid"] != users[1]["openid"]


async def test_errors_are_those_of_the_real_server(wechat: LocalWeChat) -> None:
    app, other = await wechat.app(), await wechat.app()
    used = await wechat.code(app)
    await exchange(wechat, app, used)
    good = {"appid": app, "secret": SECRET, "js_code": await wechat.code(app), "grant_type": GRANT}
    wrong: list[tuple[dict[str, str], int, str]] = [
        ({**good, "appid": ""}, 41002, "appid missing"),
        ({**good, "secret": ""}, 41004, "appsecret missing"),
        ({**good, "js_code": ""}, 41008, "missing code"),
        ({**good, "grant_type": "client_credential"}, 40002, "invalid grant_type"),
        ({**good, "appid": "wx0"}, 40013, "invalid appid"),
        ({**good, "secret": SECRET.upper()}, 40125, "invalid appsecret"),
        ({**good, "js_code": "0" * 32}, 40029, "invalid code"),
        ({**good, "js_code": await wechat.code(other)}, 40029, "invalid code"),
        ({**good, "js_code": used}, 40163, "code been used"),
        ({**good, "js_code": await wechat.code(app, risky=True)}, 40226, "code blocked"),
    ]
    for query, errcode, errmsg in wrong:
        body, answer = await wechat.code2session(**query)
        assert body["errcode"] == errcode, body
        assert body["errmsg"].startswith(f"{errmsg}, rid: "), body
        assert set(body) == {"errcode", "errmsg"}
        assert (answer.status, answer.content_type) == (200, "text/plain")
    assert "openid" in (await wechat.code2session(**good))[0], "none of the refusals used up the code"


async def test_a_code_is_valid_for_five_minutes(wechat: LocalWeChat) -> None:
    app = await wechat.app()
    code = await wechat.code(app)
    await wechat.set_faults({"kind": "clock", "offset_seconds": 301})
    assert (await exchange(wechat, app, code))["errcode"] == 40029
    await wechat.set_faults({"kind": "clock", "offset_seconds": 290})
    assert "openid" in await exchange(wechat, app, code)


async def test_a_user_may_log_in_100_times_a_minute(wechat: LocalWeChat) -> None:
    app = await wechat.app()
    for _ in range(100):
        assert "openid" in await exchange(wechat, app, await wechat.code(app))
    assert (await exchange(wechat, app, await wechat.code(app)))["errcode"] == 45011
    assert "openid" in await exchange(wechat, app, await wechat.code(app, "bert"))


async def test_a_new_secret_applies_at_once(wechat: LocalWeChat) -> None:
    app = await wechat.app()
    await wechat.set_app(app, secret="another")
    assert (await exchange(wechat, app, await wechat.code(app)))["errcode"] == 40125
    assert "openid" in await exchange(wechat, app, await wechat.code(app), "another")


async def test_calls_are_counted_and_may_be_throttled(wechat: LocalWeChat) -> None:
    app = await wechat.app()

    async def count() -> int:
        async with wechat.session.get(f"{wechat.address}/-/counts") as answer:
            found: int = (await answer.json()).get("wechat.code2Session", 0)
            return found

    before = await count()
    await exchange(wechat, app, await wechat.code(app))
    assert await count() == before + 1
    await wechat.set_faults({"kind": "throttling"})
    assert (await exchange(wechat, app, await wechat.code(app)))["errcode"] == -1
    assert [(each["server"], each.get("fault")) for each in await wechat.calls(app)] == [
        ("wechat", None),
        ("wechat", "throttling"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "apps/wx1", {}),
        ("PUT", "apps/wx1", {"secret": 1}),
        ("PUT", "apps/wx1", {"secret": "x", "open_platform": 1}),
        ("PUT", "apps/wx1", {"secret": "x", "more": 1}),
        ("PUT", "apps/wx%201", {"secret": "x"}),
        ("POST", "codes", []),
        ("POST", "codes", {"appid": "none", "user": "anna"}),
        ("POST", "codes", {"appid": ["none"], "user": "anna"}),
        ("POST", "codes", {"appid": "none"}),
        ("POST", "codes", {"appid": "none", "user": "anna", "risky": "no"}),
    ],
)
async def test_invalid_requests_are_rejected(wechat: LocalWeChat, method: str, path: str, body: Any) -> None:
    async with wechat.session.request(method, f"{wechat.address}/-/wechat/{path}", json=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]
