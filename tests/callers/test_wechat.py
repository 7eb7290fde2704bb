"""Callers by wx.login, against the local cloud's WeChat."""

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
from signer.errors import Forbidden, IdentityUnavailable, InvalidRequest, Problem, RateLimited, Unauthenticated
from tests.callers.local_wechat import SECRET, LocalWeChat
from tests.callers.requests import caller, refused, sent, session_of
from tests.callers.stub import Answer, body, document, endless, redirect, stub

GRANT = "authorization_code"
LONG_SECONDS = 30
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
    """As the definitions make it; `own_app` is the app's id in them, `app` the one that WeChat knows."""
    return WeChatCheck(
        outbound,
        SessionTokens(own_app, secret, timedelta(hours=2)),
        app_id=app,
        secret=secret,
        endpoint=address,
        timeout_seconds=timeout_seconds,
    )


async def test_a_code_makes_a_caller_and_a_session(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    code = await wechat.code(app)
    found = await users.identify(sent(("x-wx-code", code)))
    openid = (await wechat.ask(appid=app, secret=SECRET, js_code=await wechat.code(app), grant_type=GRANT))[0]["openid"]
    assert found.id == openid
    assert found.session is not None
    assert found.session.expires_in_seconds == 7200
    assert await caller(users, sent(code=await wechat.code(app, "bert"))) != openid


async def test_a_session_asks_nothing_of_wechat(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    found = await users.identify(sent(code=await wechat.code(app)))
    assert found.session is not None
    for _ in range(3):
        again = await users.identify(sent(("X-Session", found.session.token)))
        assert (again.id, again.session) == (found.id, None)
    assert len(await wechat.calls(app)) == 1


async def test_a_code_is_newer_than_the_session_beside_it(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    anna = await users.identify(sent(code=await wechat.code(app)))
    assert anna.session is not None
    both = sent(("X-Session", anna.session.token), ("X-WX-Code", await wechat.code(app, "bert")))
    assert await caller(users, both) not in (anna.id, None)
    stale = sent(("X-Session", anna.session.token), ("X-WX-Code", "never-given"))
    await refused(users, stale, Unauthenticated, AGAIN)


async def test_neither_code_nor_session_is_told_what_to_send(outbound: aiohttp.ClientSession) -> None:
    users = check(outbound, "http://127.0.0.1:1", "wx1")
    for nothing in (sent(), sent(("X-Session", ""), ("X-WX-Code", "")), sent(code="")):
        assert not users.has_credential(nothing)
        await refused(users, nothing, Unauthenticated, "X-WX-Code")
    for something in (sent(("X-Session", "x")), sent(("X-WX-Code", "x")), sent(code="x")):
        assert users.has_credential(something)


async def test_what_cannot_be_a_code_is_not_sent_to_wechat(
    wechat: LocalWeChat, outbound: aiohttp.ClientSession
) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    for code in ("x" * 513, "猫", "\udc80"):
        await refused(users, sent(code=code), Unauthenticated, AGAIN)
    assert await wechat.calls(app) == []
    await refused(users, sent(("X-WX-Code", "a"), ("X-WX-Code", "b")), InvalidRequest, "X-WX-Code occurs twice")
    await refused(users, sent(("X-Session", "a"), ("X-Session", "b")), InvalidRequest, "X-Session occurs twice")
    # Its own characters end up in the query as they are, and nowhere else.
    await refused(users, sent(code="a&secret=other#?grant_type=x"), Unauthenticated, "code is invalid")


async def test_a_code_is_not_good_twice(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    code = await wechat.code(app)
    found = await asyncio.gather(*(users.identify(sent(code=code)) for _ in range(10)), return_exceptions=True)
    problems = [each for each in found if isinstance(each, Problem)]
    assert len(problems) == 9
    assert {(type(each), "already used" in each.detail) for each in problems} == {(Unauthenticated, True)}
    await refused(users, sent(code=code), Unauthenticated, "already used", AGAIN)


async def test_each_refusal_of_wechat_is_a_clear_answer(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    app, other = await wechat.app(), await wechat.app()
    users = check(outbound, wechat.address, app)
    await refused(users, sent(code=secrets.token_hex(16)), Unauthenticated, "invalid or older", AGAIN)
    await refused(users, sent(code=await wechat.code(other)), Unauthenticated, "invalid or older", AGAIN)
    await refused(users, sent(code=await wechat.code(app, risky=True)), Forbidden, "risky")
    for wrong in (
        check(outbound, wechat.address, app, secret="another secret of this app"),
        check(outbound, wechat.address, "wx-unknown"),
    ):
        problem = await refused(wrong, sent(code=await wechat.code(app)), IdentityUnavailable, "id or secret")
        assert problem.retry_after_seconds == 60
    old = await wechat.code(app)
    await wechat.set_faults({"kind": "clock", "offset_seconds": 301})
    await refused(users, sent(code=old), Unauthenticated, "older than 5 minutes", AGAIN)
    await wechat.set_faults({"kind": "throttling"})
    problem = await refused(users, sent(code=await wechat.code(app)), IdentityUnavailable, "retry after the seconds")
    assert problem.retry_after_seconds == 2


async def test_a_user_who_logs_in_all_the_time_is_told_to_keep_the_session(
    wechat: LocalWeChat, outbound: aiohttp.ClientSession
) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    for _ in range(100):
        await users.identify(sent(code=await wechat.code(app)))
    problem = await refused(users, sent(code=await wechat.code(app)), RateLimited, "keep the session")
    assert problem.retry_after_seconds == 60


@pytest.mark.parametrize("errcode", [41002, 45009, 48001, 50002, "40029", True, [], {}, 10**100])
async def test_an_unknown_refusal_is_told_with_its_number(
    errcode: object, outbound: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with stub(document({"errcode": errcode, "errmsg": "whatever"})) as other:
        users = check(outbound, other.url, "wx1")
        problem = await refused(users, sent(code="x"), IdentityUnavailable)
        assert len(problem.detail) < 100
        if isinstance(errcode, int) and 1 < errcode < 10**9:
            assert str(errcode) in problem.detail
        if errcode:
            assert "WeChat rejected the app" in caplog.text


@pytest.mark.parametrize("errcode", [0, None])
async def test_an_errcode_of_0_is_success(errcode: int | None, outbound: aiohttp.ClientSession) -> None:
    async with stub(document({"errcode": errcode, "openid": "o1", "errmsg": "ok"})) as other:
        assert await caller(check(outbound, other.url, "wx1"), sent(code="x")) == "o1"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset"},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 404},
        {"kind": "malformed"},
        {"kind": "truncated"},
        {"kind": "throttling"},
        {"kind": "hang"},
        {"kind": "latency", "seconds": 3600},
    ],
    ids=lambda fault: str(fault.get("status", fault["kind"])),
)
async def test_wechat_in_trouble_is_told_from_a_wrong_caller(
    fault: dict[str, object], wechat: LocalWeChat, outbound: aiohttp.ClientSession
) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app, timeout_seconds=0.5)
    code = await wechat.code(app)
    await wechat.set_faults(fault)
    async with asyncio.timeout(LONG_SECONDS):
        problem = await refused(users, sent(code=code), IdentityUnavailable, "retry after the seconds")
    assert problem.retry_after_seconds == 2


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
async def test_an_answer_that_is_none_is_no_caller(answer: Answer, outbound: aiohttp.ClientSession) -> None:
    async with stub(answer) as other, asyncio.timeout(LONG_SECONDS):
        await refused(check(outbound, other.url, "wx1"), sent(code="x"), IdentityUnavailable)


async def test_a_redirect_is_not_followed(outbound: aiohttp.ClientSession) -> None:
    async with stub(document({"openid": "o1"})) as trap, stub(redirect(trap.url)) as other:
        await refused(check(outbound, other.url, "wx1"), sent(code="x"), IdentityUnavailable)
        assert (other.asked, trap.asked) == (1, 0)


async def test_nobody_listens(outbound: aiohttp.ClientSession) -> None:
    async with stub() as other:
        users = check(outbound, other.url, "wx1")
    await refused(users, sent(code="x"), IdentityUnavailable)


async def test_a_hanging_wechat_holds_up_nobody_who_has_a_session(
    wechat: LocalWeChat, outbound: aiohttp.ClientSession
) -> None:
    """More new callers than there are connections; none of their waits ends before the one with a session is served."""
    app = await wechat.app()
    users = check(outbound, wechat.address, app, timeout_seconds=600)
    session = await session_of(users, sent(code=await wechat.code(app)))
    codes = [await wechat.code(app, f"user {number}") for number in range(100)]
    await wechat.set_faults({"kind": "hang"})
    new = [asyncio.create_task(users.identify(sent(code=code))) for code in codes]
    async with asyncio.timeout(LONG_SECONDS):
        while await wechat.waiting() < 64:
            await asyncio.sleep(0.01)
        for _ in range(100):
            assert (await users.identify(sent(("X-Session", session)))).id
        # Nor those who ask somebody else through the same pool.
        async with stub(document({"openid": "o1"})) as other:
            assert await caller(check(outbound, other.url, "wx1"), sent(code="x")) == "o1"
    assert not any(task.done() for task in new)
    for task in new:
        task.cancel()
    assert all(isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*new, return_exceptions=True))
    # Those who went away are no failures: WeChat is asked again at once.
    await wechat.set_faults()
    assert await caller(users, sent(code=await wechat.code(app)))


async def test_a_wechat_that_fails_is_left_alone_for_a_while(
    wechat: LocalWeChat, outbound: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    session = await session_of(users, sent(code=await wechat.code(app)))
    await wechat.set_faults({"kind": "status", "status": 502})
    for _ in range(20):
        await refused(users, sent(code="x"), IdentityUnavailable, "retry after the seconds")
    assert len(await wechat.calls(app)) == 1 + 5
    assert caplog.text.count("WeChat unavailable") == 5
    assert await caller(users, sent(("X-Session", session)))
    # After the rest one caller finds out, and WeChat rests again.
    await _until(lambda: _all_are_refused(users, 20), wechat, app, 1 + 5 + 1)
    await _all_are_refused(users, 20)
    assert len(await wechat.calls(app)) == 1 + 5 + 1
    # Then it is back, and all are served again.
    await wechat.set_faults()
    async with asyncio.timeout(LONG_SECONDS):
        while True:
            with contextlib.suppress(IdentityUnavailable):
                await users.identify(sent(code=await wechat.code(app)))
                break
            await asyncio.sleep(0.05)
    codes = [await wechat.code(app) for _ in range(10)]
    assert all(await asyncio.gather(*(users.identify(sent(code=code)) for code in codes)))


async def _all_are_refused(users: WeChatCheck, count: int) -> None:
    found = await asyncio.gather(*(users.identify(sent(code="x")) for _ in range(count)), return_exceptions=True)
    assert {type(each) for each in found} == {IdentityUnavailable}


async def _until(ask: Callable[[], Awaitable[None]], wechat: LocalWeChat, app: str, calls: int) -> None:
    async with asyncio.timeout(LONG_SECONDS):
        while len(await wechat.calls(app)) < calls:
            await ask()
            await asyncio.sleep(0.05)
    assert len(await wechat.calls(app)) == calls


async def test_refusals_are_no_failures(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    """Whoever sends wrong codes keeps nobody else out."""
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    for _ in range(20):
        await refused(users, sent(code="wrong"), Unauthenticated)
    assert await caller(users, sent(code=await wechat.code(app)))


async def test_one_answer_in_between_is_enough(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    app = await wechat.app()
    users = check(outbound, wechat.address, app)
    for _ in range(3):
        await wechat.set_faults({"kind": "reset"})
        for _ in range(4):
            await refused(users, sent(code="x"), IdentityUnavailable)
        await wechat.set_faults()
        await refused(users, sent(code="x"), Unauthenticated)


async def test_two_apps_of_one_mini_program_are_apart(wechat: LocalWeChat, outbound: aiohttp.ClientSession) -> None:
    """`app_id` may name the mini-program where the app is called otherwise: the same people, other sessions."""
    app = await wechat.app()
    photos = check(outbound, wechat.address, app, own_app="photos")
    videos = check(outbound, wechat.address, app, own_app="videos")
    anna = await photos.identify(sent(code=await wechat.code(app)))
    assert anna.id == await caller(videos, sent(code=await wechat.code(app)))
    assert anna.session is not None
    await refused(videos, sent(("X-Session", anna.session.token)), Unauthenticated, "not one of this app's")


async def test_wechat_is_asked_as_documented(outbound: aiohttp.ClientSession) -> None:
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append((request.method, request.path, dict(request.query), await request.read()))
        return web.Response(text=json.dumps({"openid": "o1"}), content_type="text/plain")

    async with stub(answer) as other:
        await check(outbound, f"{other.url}/", "wx1").identify(sent(code="a+b/c=&"))
    query = {"appid": "wx1", "secret": SECRET, "js_code": "a+b/c=&", "grant_type": "authorization_code"}
    assert asked == [("GET", "/sns/jscode2session", query, b"")]
