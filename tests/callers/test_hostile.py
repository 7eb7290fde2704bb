"""Any input gives a caller or a problem, and no problem quotes the input."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from typing import Any

import aiohttp
import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from signer.callers.api_key import ApiKeyCheck
from signer.callers.caller import CallerCheck
from signer.callers.first_match import FirstMatchCheck
from signer.callers.jwks import Jwks
from signer.callers.jwt_bearer import JwtBearerCheck
from signer.callers.jwt_verification import JwtRules
from signer.callers.session_tokens import SessionTokens
from signer.callers.verification_keys import key_from_pem, key_from_secret
from signer.callers.wechat import WeChatCheck
from signer.errors import Problem
from signer.outbound import new_session
from signer.request_context import RequestContext
from tests.callers.local_wechat import SECRET
from tests.callers.requests import admit_all
from tests.callers.signing_keys import SHARED, Keys, encoded, jwk, public_pem
from tests.callers.stub import Stub, body, document, stub

NAMES = ["X-Session", "X-WX-Code", "Authorization", "X-Api-Key", "X-Caller", "x-session", "AUTHORIZATION"]
ANY_TEXT = (
    st.text() | st.text(st.characters(codec=None)) | st.binary().map(lambda sent: sent.decode(errors="surrogateescape"))
)
MARK = "zq9-a-text-that-stands-in-no-sentence"
ANY_VALUE = st.builds(
    "".join, st.tuples(st.sampled_from(["", "Bearer "]), ANY_TEXT, st.sampled_from(["", MARK]), ANY_TEXT)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CLAIMS = st.dictionaries(st.sampled_from(["sub", "exp", "nbf", "iat", "iss", "aud", "jti", "auth_time"]), JSON)
HEADER = st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "jku", "jwk", "typ", "cty"]), JSON)
ALGORITHMS = st.sampled_from(["HS256", "RS256", "ES256", "none", "HS512"])


class Checks:
    """A check of each type, with an event loop for all examples."""

    def __init__(self, runner: asyncio.Runner, outbound: aiohttp.ClientSession, issuer: Stub, wechat: Stub, keys: Keys):
        self.runner, self.outbound, self.issuer, self.wechat = runner, outbound, issuer, wechat
        issuer.answer = document({"keys": [jwk(keys.ec, "e"), jwk(keys.rsa, "r")]})
        wechat.answer = document({"errcode": 40029, "errmsg": "invalid code"})
        kinds: dict[str, CallerCheck] = {
            "wechat": self.new_wechat(),
            "secret": JwtBearerCheck(key_from_secret(SHARED), JwtRules(issuer="us", audience="us")),
            "public key": JwtBearerCheck(key_from_pem(public_pem(keys.rsa)), JwtRules()),
            "jwks": self.new_jwks(),
            "api key": ApiKeyCheck({"shop": sha256(b"the-key").hexdigest()}),
        }
        self.kinds: dict[str, CallerCheck] = {**kinds, "several": FirstMatchCheck(list(kinds.values()))}

    def new_wechat(self) -> WeChatCheck:
        sessions = SessionTokens("photos", SECRET, timedelta(hours=2))
        url = self.wechat.url
        return WeChatCheck(
            outbound=self.outbound,
            sessions=sessions,
            app_id="wx1",
            secret=SECRET,
            endpoint=url,
            timeout_seconds=5,
            admit_login=admit_all,
        )

    def new_jwks(self) -> JwtBearerCheck:
        return JwtBearerCheck(Jwks(self.outbound, self.issuer.url), JwtRules())

    def problem(self, check: CallerCheck, context: RequestContext) -> Problem | None:
        """The result of the check; anything but a `Problem` is raised here."""
        check.has_credential(context)
        try:
            self.runner.run(check.identify(context))
        except Problem as problem:
            return problem
        return None


@pytest.fixture(scope="module")
def checks(keys: Keys) -> Iterator[Checks]:
    with asyncio.Runner() as runner:
        around = contextlib.AsyncExitStack()

        async def start() -> Checks:
            outbound = await around.enter_async_context(new_session())
            issuer, wechat = [await around.enter_async_context(stub()) for _ in range(2)]
            return Checks(runner, outbound, issuer, wechat, keys)

        yield runner.run(start())
        runner.run(around.aclose())


def does_not_quote(problem: Problem | None, *sent: str) -> bool:
    """Return whether a text contains neither a secret nor the input."""
    if problem is None:
        return True
    text = f"{problem!r} {problem.detail} {problem.headers}"
    return not any(each in text for each in (SECRET, SHARED, *sent))


@settings(deadline=None, max_examples=300)
@given(headers=st.lists(st.tuples(st.sampled_from(NAMES), ANY_VALUE), max_size=4), login_code=st.none() | ANY_VALUE)
def test_any_headers(checks: Checks, headers: list[tuple[str, str]], login_code: str | None) -> None:
    context = RequestContext(CIMultiDict(headers), "192.0.2.7", login_code)
    for kind in checks.kinds.values():
        assert does_not_quote(checks.problem(kind, context), MARK)


@settings(deadline=None, max_examples=300)
@given(algorithm=ALGORITHMS | ANY_TEXT, header=HEADER, claims=CLAIMS | JSON, signature=st.binary(max_size=80))
def test_tokens_of_any_content(
    checks: Checks, algorithm: str, header: dict[str, Any], claims: Any, signature: bytes
) -> None:
    parts = [json.dumps({"alg": algorithm, **header}).encode(), json.dumps(claims).encode(), signature]
    token = ".".join(encoded(part) for part in parts)
    _identify_with_all(checks, token)


@settings(deadline=None, max_examples=300)
@given(
    claims=CLAIMS | JSON,
    key_id=st.sampled_from(["e", "r", "x"]),
    key=st.sampled_from(["ec", "rsa", "secret", "session"]),
)
def test_tokens_of_any_content_with_a_valid_signature(
    checks: Checks, keys: Keys, claims: Any, key_id: str, key: str
) -> None:
    """An issuer may sign nonsense, too."""
    payload, headers = json.dumps(claims).encode(), {"kid": key_id}
    if key == "ec":
        token = jwt.api_jws.encode(payload, keys.ec, "ES256", headers=headers)
    elif key == "rsa":
        token = jwt.api_jws.encode(payload, keys.rsa, "RS256", headers=headers)
    else:
        token = jwt.api_jws.encode(payload, SHARED if key == "secret" else SECRET, "HS256", headers=headers)
    _identify_with_all(checks, token)


def _identify_with_all(checks: Checks, token: str) -> None:
    for kind in checks.kinds.values():
        for name, value in (("Authorization", f"Bearer {token}"), ("X-Session", token)):
            assert does_not_quote(checks.problem(kind, RequestContext(CIMultiDict([(name, value)]))), token)


@settings(deadline=None, max_examples=200)
@given(
    answer=JSON | st.dictionaries(st.sampled_from(["openid", "errcode", "errmsg", "session_key"]), JSON),
    status=st.sampled_from([200, 200, 500]),
)
def test_wechat_may_send_any_response(checks: Checks, answer: Any, status: int) -> None:
    checks.wechat.answer = body(json.dumps(answer).encode(), status)
    assert does_not_quote(
        checks.problem(checks.new_wechat(), RequestContext(login_code="some-code-of-wx-login")), "some-code-of-wx-login"
    )


JWK = st.fixed_dictionaries(
    {"kty": st.sampled_from(["RSA", "EC", "oct", "OKP"]) | JSON},
    optional={
        name: JSON | st.sampled_from(["AQAB", "AA", "P-256", "RS256", "ES256", "sig", "none", "e" * 400])
        for name in ("n", "e", "d", "p", "q", "crv", "x", "y", "k", "alg", "use", "key_ops", "kid")
    },
)


@settings(deadline=None, max_examples=200)
@given(published=JSON | st.fixed_dictionaries({"keys": JSON | st.lists(JWK | JSON, max_size=5)}))
def test_an_issuer_may_publish_anything(checks: Checks, keys: Keys, published: Any) -> None:
    checks.issuer.answer = document(published)
    token = jwt.encode({"sub": "anna", "exp": 2**40}, keys.ec, "ES256", headers={"kid": "e"})
    context = RequestContext(CIMultiDict({"Authorization": f"Bearer {token}"}))

    assert does_not_quote(checks.problem(checks.new_jwks(), context), token)


def test_the_examples_reach_the_servers(checks: Checks) -> None:
    """Otherwise the tests above would test little."""
    assert checks.wechat.requests > 100
    assert checks.issuer.requests > 100
