"""The local cloud's Douyin answers as documented."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.callers.local_douyin import SECRET, LocalDouyin
from tests.harness.local_cloud import local_cloud


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address() -> AsyncIterator[str]:
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        yield cloud.wechat


@pytest.fixture
async def douyin(address: str, session: aiohttp.ClientSession) -> AsyncIterator[LocalDouyin]:
    found = LocalDouyin(address, session)
    yield found
    await found.set_faults()


async def test_a_code_gives_a_user_once(douyin: LocalDouyin) -> None:
    app = await douyin.app()
    good = {"appid": app, "secret": SECRET, "code": await douyin.code(app)}
    found = await douyin.code2session(**good)
    assert (found["status"], found["err_no"], found["err_tips"]) == (200, 0, "success")
    assert set(found["data"]) == {"session_key", "openid", "anonymous_openid", "unionid"}
    assert (await douyin.code2session(**good))["err_no"] == 40018
    again = await douyin.code2session(**{**good, "code": await douyin.code(app)})
    assert again["data"]["openid"] == found["data"]["openid"]


async def test_errors_are_the_documented_ones(douyin: LocalDouyin) -> None:
    app, other = await douyin.app(), await douyin.app()
    good = {"appid": app, "secret": SECRET, "code": await douyin.code(app)}
    for members, err_no in (
        ({**good, "appid": ""}, 40014),
        ({**good, "code": ""}, 40014),
        ({**good, "appid": "tt-unknown"}, 40015),
        ({**good, "secret": "wrong"}, 40017),
        ({**good, "code": "never-given"}, 40018),
        ({**good, "code": await douyin.code(other)}, 40018),
    ):
        found = await douyin.code2session(**members)
        assert (found["status"], found["err_no"], found["data"]["openid"]) == (200, err_no, "")
    assert (await douyin.code2session(**good))["err_no"] == 0, "none of the refusals used up the code"


async def test_what_is_not_implemented_is_501(douyin: LocalDouyin) -> None:
    app = await douyin.app()
    found = await douyin.code2session(appid=app, secret=SECRET, code=await douyin.code(app), anonymous_code="x")
    assert found["status"] == 501


async def test_a_code_is_valid_for_three_minutes(douyin: LocalDouyin) -> None:
    app = await douyin.app()
    query = {"appid": app, "secret": SECRET, "code": await douyin.code(app)}
    await douyin.set_faults({"kind": "clock", "offset_seconds": 181})
    assert (await douyin.code2session(**query))["err_no"] == 40018
    await douyin.set_faults({"kind": "throttling"})
    assert (await douyin.code2session(**query))["err_no"] == -1
    await douyin.set_faults({"kind": "clock", "offset_seconds": 170})
    assert (await douyin.code2session(**query))["err_no"] == 0


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("PUT", "apps/tt1", {}),
        ("PUT", "apps/tt1", {"secret": ""}),
        ("PUT", "apps/tt1", {"secret": "x", "more": 1}),
        ("PUT", "apps/a%20b", {"secret": "x"}),
        ("POST", "codes", {"appid": "tt-unknown", "user": "anna"}),
        ("POST", "codes", {"appid": "tt1"}),
        ("POST", "codes", []),
    ],
)
async def test_invalid_requests_are_rejected(douyin: LocalDouyin, method: str, path: str, content: Any) -> None:
    async with douyin.session.request(method, f"{douyin.address}/-/douyin/{path}", json=content) as response:
        assert response.status == 400
