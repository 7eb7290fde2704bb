"""Users of a WeChat mini-program. tests/callers/test_platform_logins.py has what all platforms share."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web

from signer.callers.session_tokens import SessionTokens
from signer.callers.wechat import WeChatCheck
from signer.errors import Forbidden, IdentityUnavailable, InvalidRequest, RateLimited, Unauthenticated
from tests.callers.local_wechat import SECRET, LocalWeChat
from tests.callers.requests import admit_all, assert_rejected, caller_id, request, session_of
from tests.callers.stub import Answer, body, document, endless, redirect, stub
from tests.harness.waiting import deadline, wait_until

GRANT = "authorization_code"
AGAIN = "call wx.login again and send its new code in X-WX-Code"


def check(
    outbound: aiohttp.ClientSession,
    address: str,
    app: str,
    *,
    secret: str = SECRET,
    own_app: str = "photos",
    timeout_seconds: float = 20.0,
) -> WeChatCheck:
    """Return a check; `own_app` is the app's id in the definitions, `app` that of the mini-program at WeChat."""
    return WeChatCheck(
        outbound=outbound,
        sessions=SessionTokens(own_app, secret, timedelta(hours=2)),
        app_id=app,
        secret=secret,
        endpoint=address,
        timeout_seconds=timeout_seconds,
        admit_login=admit_all,
    )


async def test_the_caller_is_the_openid(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    code = await wechat.code(app)
    found = await users.identify(request(("x-wx-code", code)))
    openid = (await wechat.code2session(appid=app, secret=SECRET, js_code=await wechat.code(app), grant_type=GRANT))[0][
        "openid"
    ]
    assert found.id == openid
    assert await caller_id(users, request(code=await wechat.code(app, "bert"))) != openid


async def test_a_code_is_preferred_to_a_session(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    anna = await users.identify(request(code=await wechat.code(app)))
    assert anna.session is not None
    both = request(("X-Session", anna.session.token), ("X-WX-Code", await wechat.code(app, "bert")))
    assert await caller_id(users, both) not in (anna.id, None)
    stale = request(("X-Session", anna.session.token), ("X-WX-Code", "never-given"))
    await assert_rejected(users, stale, Unauthenticated, AGAIN)


async def test_without_code_and_session_the_error_names_what_to_send(outbound: aiohttp.ClientSession) -> None:
    users = check(outbound, "http://127.0.0.1:1", "wx1")
    for nothing in (request(), request(("X-Session", ""), ("X-WX-Code", "")), request(code="")):
        assert not users.has_credential(nothing)
        await assert_rejected(users, nothing, Unauthenticated, "X-WX-Code")
    for something in (request(("X-Session", "x")), request(("X-WX-Code", "x")), request(code="x")):
        assert users.has_credential(something)


async def test_an_impossible_code_is_not_sent_to_wechat(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    for code in ("x" * 513, "猫", "\udc80"):
        await assert_rejected(users, request(code=code), Unauthenticated, AGAIN)
    assert await wechat.calls(app) == []
    await assert_rejected(
        users, request(("X-WX-Code", "a"), ("X-WX-Code", "b")), InvalidRequest, "X-WX-Code occurs twice"
    )
    await assert_rejected(
        users, request(("X-Session", "a"), ("X-Session", "b")), InvalidRequest, "X-Session occurs twice"
    )


async def test_each_error_code_of_wechat_has_its_problem(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    app, other = await wechat.app(), await wechat.app()
    users = check(outbound, wechat.address, app)
    await assert_rejected(users, request(code=secrets.token_hex(16)), Unauthenticated, "invalid or older", AGAIN)
    await assert_rejected(users, request(code=await wechat.code(other)), Unauthenticated, "invalid or older", AGAIN)
    await assert_rejected(users, request(code=await wechat.code(app, risky=True)), Forbidden, "risky")
    old = await wechat.code(app)
    await wechat.set_faults({"kind": "clock", "offset_seconds": 301})
    await assert_rejected(users, request(code=old), Unauthenticated, "older than 5 minutes", AGAIN)
    await wechat.set_faults({"kind": "throttling"})
    problem = await assert_rejected(
        users, request(code=await wechat.code(app)), IdentityUnavailable, "retry after the seconds"
    )
    assert problem.retry_after_seconds == 2


async def test_too_many_logins_of_a_user_are_rate_limited(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    for _ in range(100):
        await users.identify(request(code=await wechat.code(app)))
    problem = await assert_rejected(users, request(code=await wechat.code(app)), RateLimited, "keep the session")
    assert problem.retry_after_seconds == 60


@pytest.mark.parametrize("errcode", [41002, 45009, 48001, 50002, "40029", True, [], {}, 10**100])
async def test_an_unknown_error_code_is_shown(
    errcode: object, outbound: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with stub(document({"errcode": errcode, "errmsg": "whatever"})) as other:
        users = check(outbound, other.url, "wx1")
        problem = await assert_rejected(users, request(code="x"), IdentityUnavailable)
        assert len(problem.detail) < 100
        if isinstance(errcode, int) and 1 < errcode < 10**9:
            assert str(errcode) in problem.detail
        if errcode:
            assert "WeChat rejected the app" in caplog.text


@pytest.mark.parametrize("errcode", [0, None])
async def test_an_errcode_of_0_is_success(errcode: int | None, outbound: aiohttp.ClientSession) -> None:
    async with stub(document({"errcode": errcode, "openid": "o1", "errmsg": "ok"})) as other:
        assert await caller_id(check(outbound, other.url, "wx1"), request(code="x")) == "o1"


JSON_TOO_DEEP = b"[" * 50_000
ODD: dict[str, Answer] = {
    "empty": body(b""),
    "list": body(b"[]"),
    "deep": body(JSON_TOO_DEEP),
    "not UTF-8": body(b'{"openid": "\xff"}'),
    "huge": body(b'{"openid": "o1", "more": "' + b"x" * 65536 + b'"}'),
    "endless": endless,
    "compressed": body(gzip.compress(b'{"openid": "o1"}'), headers={"Content-Encoding": "gzip"}),
    "no openid": document({"session_key": "x"}),
    "empty openid": document({"openid": ""}),
    "a number": document({"openid": 17}),
    "huge header": body(b'{"openid": "o1"}', headers={"X": "x" * 100_000}),
}


@pytest.mark.parametrize("answer", ODD.values(), ids=list(ODD))
async def test_an_invalid_response_is_an_outage(answer: Answer, outbound: aiohttp.ClientSession) -> None:
    async with stub(answer) as other, deadline():
        await assert_rejected(check(outbound, other.url, "wx1"), request(code="x"), IdentityUnavailable)


async def test_a_redirect_is_not_followed(outbound: aiohttp.ClientSession) -> None:
    async with stub(document({"openid": "o1"})) as trap, stub(redirect(trap.url)) as other:
        await assert_rejected(check(outbound, other.url, "wx1"), request(code="x"), IdentityUnavailable)
        assert (other.requests, trap.requests) == (1, 0)


async def test_a_refused_connection_is_an_outage(outbound: aiohttp.ClientSession) -> None:
    async with stub() as other:
        users = check(outbound, other.url, "wx1")
    await assert_rejected(users, request(code="x"), IdentityUnavailable)


async def test_a_hanging_wechat_delays_no_session(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    """There are more logins than connections, and all of them hang while a session is used."""
    app = await wechat.app()
    users = check(outbound, wechat.address, app, timeout_seconds=600)
    session = await session_of(users, request(code=await wechat.code(app)))
    codes = [await wechat.code(app, f"user {number}") for number in range(100)]
    await wechat.set_faults({"kind": "hang"})
    new = [asyncio.create_task(users.identify(request(code=code))) for code in codes]
    async with deadline():

        async def connections_are_used_up() -> bool:
            return await wechat.waiting() >= 64

        await wait_until(connections_are_used_up)
        for _ in range(100):
            assert (await users.identify(request(("X-Session", session)))).id
        # Calls to other hosts in the same HTTP session are not delayed either.
        async with stub(document({"openid": "o1"})) as other:
            assert await caller_id(check(outbound, other.url, "wx1"), request(code="x")) == "o1"
    assert not any(task.done() for task in new)
    for task in new:
        task.cancel()
    assert all(isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*new, return_exceptions=True))
    # Cancelled requests are no failures: WeChat is called again at once.
    await wechat.set_faults()
    assert await caller_id(users, request(code=await wechat.code(app)))


async def test_a_failing_wechat_is_tried_only_now_and_then(
    wechat: LocalWeChat, outbound: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    session = await session_of(users, request(code=await wechat.code(app)))
    await wechat.set_faults({"kind": "status", "status": 502})
    for _ in range(20):
        await assert_rejected(users, request(code="x"), IdentityUnavailable, "retry after the seconds")
    assert len(await wechat.calls(app)) == 1 + 5
    assert caplog.text.count("WeChat unavailable") == 5
    assert await caller_id(users, request(("X-Session", session)))
    # After the delay one login is tried, and it fails again.
    await _until(lambda: _all_are_refused(users, 20), wechat, app, 1 + 5 + 1)
    await _all_are_refused(users, 20)
    assert len(await wechat.calls(app)) == 1 + 5 + 1
    # WeChat is back, and all logins succeed again.
    await wechat.set_faults()

    async def is_identified() -> bool:
        with contextlib.suppress(IdentityUnavailable):
            await users.identify(request(code=await wechat.code(app)))
            return True
        return False

    await wait_until(is_identified)
    codes = [await wechat.code(app) for _ in range(10)]
    assert all(await asyncio.gather(*(users.identify(request(code=code)) for code in codes)))


async def _all_are_refused(users: WeChatCheck, count: int) -> None:
    found = await asyncio.gather(*(users.identify(request(code="x")) for _ in range(count)), return_exceptions=True)
    assert {type(each) for each in found} == {IdentityUnavailable}


async def _until(request: Callable[[], Awaitable[None]], wechat: LocalWeChat, app: str, calls: int) -> None:
    async def are_called() -> bool:
        if len(await wechat.calls(app)) >= calls:
            return True
        await request()
        return False

    await wait_until(are_called)
    assert len(await wechat.calls(app)) == calls


async def test_rejected_codes_are_no_failures(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    """Clients that send wrong codes do not open the circuit for others."""
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    for _ in range(20):
        await assert_rejected(users, request(code="wrong"), Unauthenticated)
    assert await caller_id(users, request(code=await wechat.code(app)))


async def test_one_success_resets_the_failures(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    for _ in range(3):
        await wechat.set_faults({"kind": "reset"})
        for _ in range(4):
            await assert_rejected(users, request(code="x"), IdentityUnavailable)
        await wechat.set_faults()
        await assert_rejected(users, request(code="x"), Unauthenticated)


async def test_two_apps_of_one_mini_program_have_separate_sessions(
    wechat: LocalWeChat, outbound: aiohttp.ClientSession
) -> None:
    """Two apps may name the same mini-program in `app_id`: they have the same users, but separate sessions."""
    app = await wechat.app()
    photos = check(outbound, wechat.address, app, own_app="photos")
    videos = check(outbound, wechat.address, app, own_app="videos")
    anna = await photos.identify(request(code=await wechat.code(app)))
    assert anna.id == await caller_id(videos, request(code=await wechat.code(app)))
    assert anna.session is not None
    await assert_rejected(videos, request(("X-Session", anna.session.token)), Unauthenticated, "not one of this app's")


async def test_the_request_to_wechat_is_as_documented(outbound: aiohttp.ClientSession) -> None:
    received = []

    async def answer(request: web.Request) -> web.StreamResponse:
        received.append((request.method, request.path, dict(request.query), await request.read()))
        return web.Response(text=json.dumps({"openid": "o1"}), content_type="text/plain")

    async with stub(answer) as other:
        await check(outbound, f"{other.url}/", "wx1").identify(request(code="a+b/c=&"))
    query = {"appid": "wx1", "secret": SECRET, "js_code": "a+b/c=&", "grant_type": "authorization_code"}
    assert received == [("GET", "/sns/jscode2session", query, b"")]
