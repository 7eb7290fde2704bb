"""The local cloud's Alipay answers as documented; signatures are made by openssl."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.callers.local_alipay import LocalAlipay
from tests.callers.signing_keys import Keys, private_pem, public_pem
from tests.harness.local_cloud import local_cloud
from tests.harness.openssl import sign_sha256


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address() -> AsyncIterator[str]:
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        yield cloud.wechat


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys()


@pytest.fixture
async def alipay(address: str, session: aiohttp.ClientSession) -> AsyncIterator[LocalAlipay]:
    found = LocalAlipay(address, session)
    yield found
    await found.set_faults()


class Caller:
    """Signs requests of an app with the command openssl."""

    def __init__(self, keys: Keys, directory: Path) -> None:
        self._key = directory / "key.pem"
        self._key.write_text(private_pem(keys.rsa), encoding="utf-8")

    def sign(self, **changes: str) -> dict[str, str]:
        form = {
            "method": "alipay.system.oauth.token",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": "2026-01-01 12:00:00",
            "version": "1.0",
            "grant_type": "authorization_code",
            **changes,
        }
        text = "&".join(f"{name}={form[name]}" for name in sorted(form) if form[name])
        return {**form, "sign": base64.b64encode(sign_sha256(self._key, text.encode())).decode()}


async def test_the_documented_answers(alipay: LocalAlipay, keys: Keys, tmp_path: Path) -> None:
    caller = Caller(keys, tmp_path)
    app, other = await alipay.app(public_pem(keys.rsa)), await alipay.app(public_pem(keys.other_rsa))
    foreign = await alipay.code(other)
    code = await alipay.code(app)
    for form, error in (
        (caller.sign(app_id="", code=code), "isv.missing-app-id"),
        (caller.sign(app_id=app, code=code, version=""), "isv.missing-version"),
        (caller.sign(app_id="2021", code=code), "isv.invalid-app-id"),
        (caller.sign(app_id=other, code=foreign), "isv.invalid-signature"),
        ({**caller.sign(app_id=app, code=code), "code": "changed"}, "isv.invalid-signature"),
        (caller.sign(app_id=app, code=code, timestamp="now"), "isv.invalid-timestamp"),
        (caller.sign(app_id=app, code=code, grant_type="password"), "isv.grant-type-invalid"),
        (caller.sign(app_id=app, code="never-given"), "isv.code-invalid"),
        (caller.sign(app_id=app, code=foreign), "isv.unmatched-app-id"),
    ):
        status, answer = await alipay.call(form)
        assert (status, answer["error_response"]["sub_code"]) == (200, error)
    status, answer = await alipay.call(caller.sign(app_id=app, code=code))
    assert (status, set(answer)) == (200, {"alipay_system_oauth_token_response"})
    assert {"open_id", "access_token", "expires_in"} <= set(answer["alipay_system_oauth_token_response"])
    _, answer = await alipay.call(caller.sign(app_id=app, code=code))
    assert answer["error_response"]["sub_code"] == "isv.code-invalid"
    await alipay.set_faults({"kind": "throttling"})
    assert (await alipay.call({}))[1]["error_response"]["code"] == "20000"


async def test_what_is_not_implemented_is_501(alipay: LocalAlipay, keys: Keys, tmp_path: Path) -> None:
    caller = Caller(keys, tmp_path)
    app = await alipay.app(public_pem(keys.rsa))
    for changes in (
        {"method": "alipay.trade.pay"},
        {"sign_type": "RSA"},
        {"grant_type": "refresh_token"},
        {"app_auth_token": "x"},
        {"version": "2.0"},
        {"format": "XML"},
        {"charset": "GBK"},
        {"encrypt_type": "AES"},
        {"app_cert_sn": "x"},
    ):
        assert (await alipay.call(caller.sign(app_id=app, **changes)))[0] == 501


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("PUT", "apps/2021", {}),
        ("PUT", "apps/2021", {"public_key": "x"}),
        ("POST", "codes", {"app_id": "2021-unknown", "user": "anna"}),
        ("POST", "codes", []),
    ],
)
async def test_invalid_requests_are_rejected(alipay: LocalAlipay, method: str, path: str, content: Any) -> None:
    async with alipay.session.request(method, f"{alipay.address}/-/alipay/{path}", json=content) as response:
        assert response.status == 400
