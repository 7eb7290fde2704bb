"""Logins of all platforms of mini-programs, with the local cloud's platforms: what they have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from signer.callers.alipay import AlipayCheck
from signer.callers.alipay_key import read_private_key
from signer.callers.code_login import CodeLogin
from signer.callers.douyin import DouyinCheck
from signer.callers.session_tokens import SessionTokens
from signer.callers.wechat import WeChatCheck
from signer.errors import IdentityUnavailable, Problem, Unauthenticated
from tests.callers.local_alipay import LocalAlipay
from tests.callers.local_douyin import LocalDouyin
from tests.callers.local_platform import LocalPlatform
from tests.callers.local_wechat import LocalWeChat
from tests.callers.requests import admit_all, assert_rejected, caller_id, request
from tests.callers.signing_keys import Keys, private_pem, public_pem
from tests.harness.waiting import deadline

KEYS_TO_FIX = {"WeChat": "app_id or secret", "Douyin": "app_id or secret", "Alipay": "app_id, private_key"}


@dataclass
class Platform:
    """A platform of the local cloud with two mini-programs."""

    kind: type[Any]
    local: LocalPlatform
    outbound: aiohttp.ClientSession
    app: str
    other_app: str
    secret: str
    wrong_secret: str

    def check(self, app: str | None = None, secret: str | None = None, *, timeout_seconds: float = 20.0) -> CodeLogin:
        secret = secret or self.secret
        is_key = self.kind is AlipayCheck
        check: CodeLogin = self.kind(
            outbound=self.outbound,
            sessions=SessionTokens("photos", secret, timedelta(hours=2), login_call=self.kind.login_call),
            app_id=app or self.app,
            endpoint=self.local.address,
            timeout_seconds=timeout_seconds,
            admit_login=admit_all,
            **({"private_key": read_private_key(secret)} if is_key else {"secret": secret}),
        )
        return check

    async def code(self, user: str = "anna") -> str:
        return await self.local.code(self.app, user)


@pytest.fixture(params=["WeChat", "Douyin", "Alipay"])
async def platform(
    request: pytest.FixtureRequest, wechat_address: str, outbound: aiohttp.ClientSession, keys: Keys
) -> AsyncIterator[Platform]:
    """Yield a platform without faults."""
    async with aiohttp.ClientSession() as session:
        if request.param == "Alipay":
            alipay, key = LocalAlipay(wechat_address, session), public_pem(keys.rsa)
            app, other = await alipay.app(key), await alipay.app(key)
            secret, wrong = private_pem(keys.rsa), private_pem(keys.other_rsa)
            found = Platform(AlipayCheck, alipay, outbound, app, other, secret, wrong)
        else:
            kind = WeChatCheck if request.param == "WeChat" else DouyinCheck
            local = (LocalWeChat if kind is WeChatCheck else LocalDouyin)(wechat_address, session)
            secret, wrong = "the secret of this app", "another secret of this app"
            app, other = await local.app(secret), await local.app(secret)
            found = Platform(kind, local, outbound, app, other, secret, wrong)
        await found.local.set_faults()
        yield found
        await found.local.set_faults()


async def test_a_code_gives_a_caller_and_a_session(platform: Platform) -> None:
    users = platform.check()
    found = await users.identify(request(("X-WX-Code", await platform.code())))
    assert found.id
    assert found.session is not None
    assert found.session.expires_in_seconds == 7200
    for _ in range(3):
        again = await users.identify(request(("X-Session", found.session.token)))
        assert (again.id, again.session) == (found.id, None)
    assert len(await platform.local.calls(platform.app)) == 1, "a session needs no call"
    assert await caller_id(users, request(code=await platform.code())) == found.id
    assert await caller_id(users, request(code=await platform.code("bert"))) not in (found.id, None)


async def test_a_code_is_accepted_once(platform: Platform) -> None:
    users, code = platform.check(), await platform.code()
    found = await asyncio.gather(*(users.identify(request(code=code)) for _ in range(10)), return_exceptions=True)
    problems = [each for each in found if isinstance(each, Problem)]
    assert len(problems) == 9
    assert all(isinstance(each, Unauthenticated) and "already used" in each.detail for each in problems)
    await assert_rejected(users, request(code=code), Unauthenticated, "already used")


async def test_errors_name_the_call_that_returns_a_code(platform: Platform) -> None:
    users = platform.check()
    first = f"call {users.login_call} and send its code"
    again = f"call {users.login_call} again and send its new code in X-WX-Code"
    await assert_rejected(users, request(), Unauthenticated, first)
    await assert_rejected(users, request(code="猫"), Unauthenticated, again)
    other = await platform.local.code(platform.other_app)
    await assert_rejected(users, request(code=other), Unauthenticated, "the code is invalid", again)
    # Special characters stay part of the code.
    await assert_rejected(
        users, request(code="a&secret=b&sign=c+d%20#?"), Unauthenticated, "the code is invalid", again
    )
    assert await caller_id(users, request(code=await platform.code()))


async def test_a_wrong_secret_or_id_is_the_operators_to_fix(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    name = platform.check().platform
    for wrong in (platform.check(secret=platform.wrong_secret), platform.check("unknown")):
        code = request(code=await platform.code())
        problem = await assert_rejected(wrong, code, IdentityUnavailable, f"{name} rejects", KEYS_TO_FIX[name])
        assert problem.retry_after_seconds == 60
    assert caplog.text.count(f"{name} rejected the app") == 2


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
async def test_an_outage_is_not_an_authentication_error(fault: dict[str, object], platform: Platform) -> None:
    users = platform.check(timeout_seconds=0.5)
    code = await platform.code()
    await platform.local.set_faults(fault)
    async with deadline():
        problem = await assert_rejected(
            users, request(code=code), IdentityUnavailable, f"{users.platform} is unavailable"
        )
    assert problem.retry_after_seconds == 2
