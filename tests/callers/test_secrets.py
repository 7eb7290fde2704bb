"""No log line, repr or exception contains a secret or a token."""

from __future__ import annotations

import asyncio
import logging
import traceback
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from signer.callers.caller import Caller, CallerCheck
from signer.callers.jwks import Jwks
from signer.callers.jwt_bearer import JwtBearerCheck
from signer.callers.jwt_verification import JwtRules
from signer.callers.session_tokens import SessionTokens
from signer.callers.verification_keys import key_from_pem, key_from_secret
from signer.callers.wechat import WeChatCheck
from signer.errors import Problem
from signer.request_context import RequestContext
from tests.callers.local_wechat import SECRET
from tests.callers.requests import admit_all, bearer_request, request
from tests.callers.signing_keys import SHARED, Keys, public_pem, signed
from tests.callers.stub import Answer, Gate, body, endless, redirect, stub

CODE = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"

TROUBLE: dict[str, Answer] = {
    "status": body(b"<html>broken</html>", 500),
    "redirect to itself": redirect("/again"),
    "redirect with the query": redirect("http://127.0.0.1:1/?secret=x"),
    "no JSON": body(b"{"),
    "endless": endless,
    "a header that is too long": body(b"{}", headers={"X": "x" * 100_000}),
    "a cookie that is none": body(b"{}", headers={"Set-Cookie": "a b=c; =;;,{}; domain=..", "Location": "::"}),
    "an unknown refusal": body(b'{"errcode": 99999, "errmsg": "x"}'),
    "a wrong secret": body(b'{"errcode": 40125, "errmsg": "invalid appsecret"}'),
    "hang": Gate(body(b"")),
}


def all_text(error: BaseException) -> str:
    """Return all text of an exception and its causes."""
    texts = ["".join(traceback.format_exception(error))]
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is not None:
            texts.append(f"{each!r} {each} {each.args!r} {vars(each)!r}")
            todo += [each.__cause__, each.__context__]
    return "\n".join(texts)


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Set all loggers to debug level, and asyncio to debug mode."""
    caplog.set_level(logging.DEBUG)
    for name in ("aiohttp.client", "aiohttp.internal", "aiohttp", "asyncio", "oss_signer"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def all_records(log: pytest.LogCaptureFixture) -> str:
    """Return the log lines and their fields."""
    return "\n".join(f"{record.getMessage()} {vars(record)!r}" for record in log.records)


def wechat(outbound: aiohttp.ClientSession, endpoint: str) -> WeChatCheck:
    sessions = SessionTokens("photos", SECRET, timedelta(hours=2))
    return WeChatCheck(
        outbound=outbound,
        sessions=sessions,
        app_id="wx1",
        secret=SECRET,
        endpoint=endpoint,
        timeout_seconds=0.5,
        admit_login=admit_all,
    )


@pytest.mark.parametrize("answer", TROUBLE.values(), ids=list(TROUBLE))
async def test_errors_of_wechat_contain_no_secret(
    answer: Answer, outbound: aiohttp.ClientSession, everything_logged: pytest.LogCaptureFixture, capfd: Any
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    secrets_sent = []

    async def noting(request: web.Request) -> web.StreamResponse:
        secrets_sent.append(request.query.get("secret"))
        return await answer(request)

    async with stub(noting) as other:
        await _assert_no_secret_in_error(
            wechat(outbound, other.url), request(code=CODE), everything_logged, SECRET, CODE
        )
        assert secrets_sent == [SECRET], "WeChat is the only receiver of the secret"
        unreachable = wechat(outbound, other.url)
    await _assert_no_secret_in_error(unreachable, request(code=CODE), everything_logged, SECRET, CODE)
    out, err = capfd.readouterr()
    assert SECRET not in out + err


async def _assert_no_secret_in_error(
    check: CallerCheck, context: RequestContext, log: pytest.LogCaptureFixture, *secrets: str
) -> None:
    with pytest.raises(Problem) as raised:
        await check.identify(context)
    everything = all_text(raised.value) + all_records(log) + repr(context) + repr(check) + repr(vars(raised.value))
    for secret in secrets:
        assert secret not in everything


async def test_errors_of_tokens_contain_no_token(
    keys: Keys, outbound: aiohttp.ClientSession, everything_logged: pytest.LogCaptureFixture
) -> None:
    async with stub(body(b"", 500)) as issuer:
        jwks = JwtBearerCheck(Jwks(outbound, issuer.url), JwtRules())
        by_secret, by_key = (
            JwtBearerCheck(key_from_secret(SHARED), JwtRules()),
            JwtBearerCheck(key_from_pem(public_pem(keys.rsa)), JwtRules()),
        )
        token, foreign = signed(SHARED, "HS256", exp=1), signed(keys.ec, "ES256", "e")
        for check in (jwks, by_secret, by_key):
            for each in (token, foreign, f"{token}x", "secret-that-is-no-token"):
                await _assert_no_secret_in_error(
                    check, bearer_request(each), everything_logged, SHARED, each, each.rpartition(".")[2]
                )


async def test_reprs_contain_no_secret(keys: Keys) -> None:
    sessions = SessionTokens("photos", SECRET, timedelta(hours=2))
    begun = sessions.start("anna")
    assert begun.session is not None
    assert begun.session.token not in repr(begun)
    for each in (
        sessions,
        begun,
        key_from_secret(SHARED),
        Caller("anna", begun.session),
        request(("X-Session", SECRET), code=CODE),
    ):
        assert not any(secret in repr(each) for secret in (SECRET, SHARED, CODE))


async def test_the_session_keeps_no_cookies_and_requests_no_compression(outbound: aiohttp.ClientSession) -> None:
    seen = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(dict(request.headers))
        response = web.json_response({"openid": "o1"})
        response.set_cookie("user", "anna")
        return response

    async with stub(answer) as other:
        for _ in range(2):
            await wechat(outbound, other.url).identify(request(code=CODE))
    assert [each.get("Cookie") for each in seen] == [None, None]
    assert [(each["Accept-Encoding"], each["User-Agent"]) for each in seen] == [("identity", "oss-signer")] * 2
