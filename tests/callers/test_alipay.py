"""Users of an Alipay mini-program: what differs from other platforms."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signer.callers.alipay import AlipayCheck
from signer.callers.alipay_key import InvalidPrivateKey, read_private_key
from signer.callers.session_tokens import SessionTokens
from signer.errors import IdentityUnavailable, Problem
from tests.callers.local_alipay import LocalAlipay
from tests.callers.requests import admit_all, assert_rejected, caller_id, request
from tests.callers.signing_keys import Keys, private_pem, public_pem
from tests.callers.stub import body, document, stub
from tests.callers.test_secrets import TROUBLE, all_records, all_text

CODE = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"


@pytest.fixture
async def alipay(wechat_address: str) -> AsyncIterator[LocalAlipay]:
    """Yield an Alipay without faults."""
    async with aiohttp.ClientSession() as session:
        alipay = LocalAlipay(wechat_address, session)
        await alipay.set_faults()
        yield alipay
        await alipay.set_faults()


def check(
    outbound: aiohttp.ClientSession, address: str, app: str, key: str, *, timeout_seconds: float = 20.0
) -> AlipayCheck:
    return AlipayCheck(
        outbound=outbound,
        sessions=SessionTokens("photos", key, timedelta(hours=2), login_call=AlipayCheck.login_call),
        app_id=app,
        private_key=read_private_key(key),
        endpoint=address,
        timeout_seconds=timeout_seconds,
        admit_login=admit_all,
    )


@pytest.mark.parametrize("open_id", [True, False])
async def test_the_caller_is_the_open_id_or_the_user_id_of_an_older_app(
    open_id: bool, alipay: LocalAlipay, outbound: aiohttp.ClientSession, keys: Keys
) -> None:
    app = await alipay.app(public_pem(keys.rsa), open_id=open_id)
    users = check(outbound, alipay.address, app, private_pem(keys.rsa))
    found = await caller_id(users, request(code=await alipay.code(app)))
    assert str(found).startswith("2088") != open_id
    assert await caller_id(users, request(code=await alipay.code(app))) == found


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "unavailable"),
        ([], "unavailable"),
        ({"error_response": []}, "unavailable"),
        ({"alipay_system_oauth_token_response": {"open_id": 17}}, "unavailable"),
        ({"alipay_system_oauth_token_response": {"open_id": "", "user_id": ""}}, "unavailable"),
        ({"error_response": {"code": "40002", "sub_code": "isp.unknow-error"}}, "unavailable"),
        ({"error_response": {"code": "20000", "sub_code": "isp.another"}}, "unavailable"),
        ({"error_response": {"code": "40006", "sub_code": "isv.insufficient-isv-permissions"}}, "insufficient-isv"),
        ({"error_response": {"code": "40001"}}, "rejects this app (errcode 40001)"),
        ({"error_response": {"code": "a ' text"}}, "rejects this app (errcode None)"),
        ({"error_response": {"code": [1], "sub_code": {"a": 1}}}, "rejects this app (errcode None)"),
    ],
)
async def test_other_responses(content: object, words: str, outbound: aiohttp.ClientSession, keys: Keys) -> None:
    async with stub(document(content)) as other:
        users = check(outbound, other.url, "2021", private_pem(keys.rsa))
        await assert_rejected(users, request(code="x"), IdentityUnavailable, words)


@pytest.mark.parametrize("name", [*TROUBLE, "a wrong signature"])
async def test_errors_contain_no_secret(
    name: str, outbound: aiohttp.ClientSession, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refusal = b'{"error_response": {"code": "40002", "sub_code": "isv.invalid-signature"}}'
    answer = TROUBLE.get(name, body(refusal))
    received = []

    async def noting(request: web.Request) -> web.StreamResponse:
        received.append({**request.query, **await request.post()})
        return await answer(request)

    key = private_pem(keys.rsa)
    async with stub(noting) as other:
        users = check(outbound, other.url, "2021", key, timeout_seconds=0.5)
        with pytest.raises(Problem) as raised:
            await users.identify(request(code=CODE))
    assert [each["code"] for each in received] == [CODE]
    everything = all_text(raised.value) + all_records(caplog) + repr(users)
    secret_line = key.splitlines()[1]
    assert secret_line not in everything + str(received)
    assert CODE not in everything
    assert str(received[0]["sign"]) not in everything


def test_a_key_is_read_as_the_key_tool_writes_it(keys: Keys) -> None:
    for kind in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        text = base64.b64encode(keys.rsa.private_bytes(Encoding.DER, kind, NoEncryption())).decode()
        for written in (text, f"{text[:64]}\n{text[64:]}\n", private_pem(keys.rsa)):
            assert read_private_key(written).private_numbers() == keys.rsa.private_numbers()


def test_another_key_is_refused_without_its_text(keys: Keys) -> None:
    for text in ("abc", "猫", public_pem(keys.rsa), private_pem(keys.ec), private_pem(keys.weak_rsa)):
        with pytest.raises(InvalidPrivateKey) as raised:
            read_private_key(text)
        assert "Alipay's key tool" in str(raised.value)
        assert text not in all_text(raised.value).replace("abc.py", "")
