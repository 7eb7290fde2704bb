"""Users of a Douyin mini-program, with the local cloud's Douyin; tests of wechat cover the code that both share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web

from signer.callers.douyin import DouyinCheck
from signer.callers.session_tokens import SessionTokens
from signer.errors import IdentityUnavailable, Problem, Unauthenticated
from tests.callers.local_douyin import SECRET, LocalDouyin
from tests.callers.requests import admit_all, assert_rejected, caller_id, request
from tests.callers.stub import body, document, stub
from tests.callers.test_secrets import TROUBLE, all_records, all_text
from tests.harness.waiting import deadline

AGAIN = "call tt.login again and send its new code in X-WX-Code"


@pytest.fixture
async def douyin(wechat_address: str) -> AsyncIterator[LocalDouyin]:
    """Yield a Douyin without faults."""
    async with aiohttp.ClientSession() as session:
        douyin = LocalDouyin(wechat_address, session)
        await douyin.set_faults()
        yield douyin
        await douyin.set_faults()


def check(
    outbound: aiohttp.ClientSession, address: str, app: str, *, secret: str = SECRET, timeout_seconds: float = 20.0
) -> DouyinCheck:
    return DouyinCheck(
        outbound=outbound,
        sessions=SessionTokens("photos", secret, timedelta(hours=2), login_call=DouyinCheck.login_call),
        app_id=app,
        secret=secret,
        endpoint=address,
        timeout_seconds=timeout_seconds,
        admit_login=admit_all,
    )


async def test_a_code_gives_a_caller_and_a_session(douyin: LocalDouyin, outbound: aiohttp.ClientSession) -> None:
    app = await douyin.app()
    users = check(outbound, douyin.address, app)
    found = await users.identify(request(("X-WX-Code", await douyin.code(app))))
    expected = await douyin.code2session(appid=app, secret=SECRET, code=await douyin.code(app))
    assert found.id == expected["data"]["openid"]
    assert found.session is not None
    assert (await users.identify(request(("X-Session", found.session.token)))).id == found.id
    assert len(await douyin.calls(app)) == 2, "a session needs no call"
    assert await caller_id(users, request(code=await douyin.code(app, "bert"))) != found.id


async def test_a_code_is_accepted_once(douyin: LocalDouyin, outbound: aiohttp.ClientSession) -> None:
    app = await douyin.app()
    users = check(outbound, douyin.address, app)
    code = await douyin.code(app)
    found = await asyncio.gather(*(users.identify(request(code=code)) for _ in range(10)), return_exceptions=True)
    problems = [each for each in found if isinstance(each, Problem)]
    assert len(problems) == 9
    assert all(isinstance(each, Unauthenticated) and "already used" in each.detail for each in problems)
    await assert_rejected(users, request(code=code), Unauthenticated, "already used", AGAIN)


async def test_errors_name_the_calls_of_douyin(douyin: LocalDouyin, outbound: aiohttp.ClientSession) -> None:
    app, other = await douyin.app(), await douyin.app()
    users = check(outbound, douyin.address, app)
    await assert_rejected(users, request(), Unauthenticated, "call tt.login and send its code")
    await assert_rejected(users, request(("X-Session", "x")), Unauthenticated, "call tt.login and send its code")
    await assert_rejected(users, request(code="猫"), Unauthenticated, AGAIN)
    await assert_rejected(users, request(code=await douyin.code(other)), Unauthenticated, "the code is invalid", AGAIN)
    old = await douyin.code(app)
    await douyin.set_faults({"kind": "clock", "offset_seconds": 181})
    await assert_rejected(users, request(code=old), Unauthenticated, "too old", AGAIN)


async def test_a_wrong_secret_or_id_is_the_operators_to_fix(
    douyin: LocalDouyin, outbound: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    app = await douyin.app()
    for wrong in (
        check(outbound, douyin.address, app, secret="another secret of this app"),
        check(outbound, douyin.address, "tt-unknown"),
    ):
        problem = await assert_rejected(
            wrong, request(code=await douyin.code(app)), IdentityUnavailable, "Douyin rejects", "app_id or secret"
        )
        assert problem.retry_after_seconds == 60
    assert caplog.text.count("Douyin rejected the app") == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset"},
        {"kind": "status", "status": 500},
        {"kind": "malformed"},
        {"kind": "throttling"},
        {"kind": "hang"},
    ],
    ids=lambda fault: str(fault["kind"]),
)
async def test_an_outage_of_douyin_is_not_an_authentication_error(
    fault: dict[str, object], douyin: LocalDouyin, outbound: aiohttp.ClientSession
) -> None:
    app = await douyin.app()
    users = check(outbound, douyin.address, app, timeout_seconds=0.5)
    code = await douyin.code(app)
    await douyin.set_faults(fault)
    async with deadline():
        problem = await assert_rejected(users, request(code=code), IdentityUnavailable, "Douyin is unavailable")
    assert problem.retry_after_seconds == 2


@pytest.mark.parametrize(
    "content",
    [
        {"data": {"openid": "o1"}},
        {"err_no": 0, "data": {"openid": ""}},
        {"err_no": 0, "data": {"openid": 17}},
        {"err_no": 0, "data": []},
        {"err_no": 0},
        [],
    ],
    ids=str,
)
async def test_a_response_without_a_user_is_an_outage(content: object, outbound: aiohttp.ClientSession) -> None:
    async with stub(document(content)) as other:
        await assert_rejected(check(outbound, other.url, "tt1"), request(code="x"), IdentityUnavailable, "unavailable")


@pytest.mark.parametrize("err_no", [40014, 28001007, "40018 ' secret", True, [1], 10**100], ids=str)
async def test_an_unknown_error_is_shown(err_no: object, outbound: aiohttp.ClientSession) -> None:
    async with stub(document({"err_no": err_no, "err_tips": "whatever"})) as other:
        problem = await assert_rejected(check(outbound, other.url, "tt1"), request(code="x"), IdentityUnavailable)
        assert "Douyin rejects this app (errcode" in problem.detail
        assert len(problem.detail) < 100


CODE = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"


@pytest.mark.parametrize("name", [*TROUBLE, "a wrong secret of Douyin"])
async def test_errors_contain_no_secret(
    name: str, outbound: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = TROUBLE.get(name, body(b'{"err_no": 40017, "err_tips": "bad secret"}'))
    received = []

    async def noting(request: web.Request) -> web.StreamResponse:
        received.append((request.query_string, await request.json()))
        return await answer(request)

    async with stub(noting) as other:
        users = check(outbound, other.url, "tt1", timeout_seconds=0.5)
        with pytest.raises(Problem) as raised:
            await users.identify(request(code=CODE))
    assert received == [("", {"appid": "tt1", "secret": SECRET, "code": CODE})]
    everything = all_text(raised.value) + all_records(caplog) + repr(users)
    assert SECRET not in everything
    assert CODE not in everything
