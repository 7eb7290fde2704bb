"""Users of a Douyin mini-program: what differs from other platforms."""

from __future__ import annotations

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


async def test_the_caller_is_the_openid(douyin: LocalDouyin, outbound: aiohttp.ClientSession) -> None:
    app = await douyin.app()
    found = await caller_id(check(outbound, douyin.address, app), request(code=await douyin.code(app)))
    expected = await douyin.code2session(appid=app, secret=SECRET, code=await douyin.code(app))
    assert found == expected["data"]["openid"]


async def test_a_code_is_valid_for_three_minutes(douyin: LocalDouyin, outbound: aiohttp.ClientSession) -> None:
    app = await douyin.app()
    old = await douyin.code(app)
    await douyin.set_faults({"kind": "clock", "offset_seconds": 181})
    await assert_rejected(check(outbound, douyin.address, app), request(code=old), Unauthenticated, "too old")


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
