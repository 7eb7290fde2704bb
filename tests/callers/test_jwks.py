"""Tokens with published keys, which are fetched from a server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.algorithms import ECAlgorithm

from signer.callers.jwks import Jwks
from signer.callers.jwt_bearer import JwtBearerCheck
from signer.callers.jwt_verification import JwtRules
from signer.errors import IdentityUnavailable, Problem, Unauthenticated
from tests.callers.requests import assert_rejected, bearer_request, caller_id
from tests.callers.signing_keys import (
    SHARED,
    Keys,
    PrivateKey,
    claims,
    encoded,
    hand_made,
    jwk,
    private_pem,
    public_pem,
    signed,
)
from tests.callers.stub import Gate, Stub, body, document, endless, redirect, stub
from tests.harness.waiting import deadline, wait_until

NOT_PUBLISHED = "does not publish"


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def issuer() -> AsyncIterator[Stub]:
    async with stub() as issuer:
        yield issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(outbound: aiohttp.ClientSession, issuer: Stub, clock: Clock) -> JwtBearerCheck:
    return JwtBearerCheck(Jwks(outbound, f"{issuer.url}/jwks.json", monotonic=clock), JwtRules())


def publish(issuer: Stub, *keys: dict[str, Any]) -> None:
    issuer.answer = document({"keys": keys})


async def test_published_keys_are_fetched_once(users: JwtBearerCheck, issuer: Stub, keys: Keys) -> None:
    publish(issuer, jwk(keys.rsa, "r"), jwk(keys.ec, "e", alg="ES256", use="sig", key_ops=["verify"]))
    for number in range(5):
        assert (
            await caller_id(users, bearer_request(signed(keys.rsa, "RS256", "r", sub=f"anna {number}")))
            == f"anna {number}"
        )
        assert (
            await caller_id(users, bearer_request(signed(keys.ec, "ES256", "e", sub=f"bert {number}")))
            == f"bert {number}"
        )
    assert issuer.requests == 1


async def test_concurrent_requests_share_one_fetch(users: JwtBearerCheck, issuer: Stub, keys: Keys) -> None:
    publish(issuer, jwk(keys.ec, "e"))
    tokens = [bearer_request(signed(keys.ec, "ES256", "e", sub=f"user {number}")) for number in range(50)]
    found = await asyncio.gather(*(caller_id(users, token) for token in tokens))
    assert found == [f"user {number}" for number in range(50)]
    assert issuer.requests == 1


async def test_a_cancelled_request_does_not_cancel_the_fetch(users: JwtBearerCheck, issuer: Stub, keys: Keys) -> None:
    issuer.answer = gate = Gate(document({"keys": [jwk(keys.ec, "e")]}))
    token = bearer_request(signed(keys.ec, "ES256", "e"))
    first, second = (asyncio.create_task(caller_id(users, token)) for _ in range(2))
    async with deadline():
        await gate.reached.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.open()
        assert await second == "anna"
    assert issuer.requests == 1


async def test_a_new_key_is_fetched_when_a_token_names_it(
    users: JwtBearerCheck, issuer: Stub, clock: Clock, keys: Keys
) -> None:
    publish(issuer, jwk(keys.rsa, "old"))
    assert await caller_id(users, bearer_request(signed(keys.rsa, "RS256", "old")))
    publish(issuer, jwk(keys.other_rsa, "new"))
    token = bearer_request(signed(keys.other_rsa, "RS256", "new", sub="bert"))
    await assert_rejected(users, token, Unauthenticated, NOT_PUBLISHED)
    clock.seconds += 10
    assert await caller_id(users, token) == "bert"
    assert issuer.requests == 2
    # The old key is withdrawn: no new token of it is accepted.
    await assert_rejected(
        users, bearer_request(signed(keys.rsa, "RS256", "old", sub="late")), Unauthenticated, NOT_PUBLISHED
    )


async def test_many_unknown_keys_cause_one_fetch_in_ten_seconds(
    users: JwtBearerCheck, issuer: Stub, clock: Clock, keys: Keys
) -> None:
    publish(issuer, jwk(keys.ec, "e"))
    flood = [bearer_request(signed(keys.other_ec, "ES256", f"unknown {number}")) for number in range(200)]
    for tens in range(1, 4):
        found = await asyncio.gather(*(users.identify(token) for token in flood), return_exceptions=True)
        assert {type(each) for each in found} == {Unauthenticated}
        for token in flood:
            await assert_rejected(users, token, Unauthenticated, NOT_PUBLISHED)
        assert issuer.requests == tens
        clock.seconds += 10
    # Meanwhile known keys verify tokens without a fetch.
    clock.seconds -= 1
    assert await caller_id(users, bearer_request(signed(keys.ec, "ES256", "e"))) == "anna"
    assert issuer.requests == 3


async def test_the_last_keys_are_used_while_the_issuer_is_down(
    users: JwtBearerCheck, issuer: Stub, clock: Clock, keys: Keys
) -> None:
    publish(issuer, jwk(keys.ec, "e"))
    assert await caller_id(users, bearer_request(signed(keys.ec, "ES256", "e")))
    deaths = [body(b"gone", 503), body(b"{"), document({"keys": []}), document({"keys": [jwk(keys.p384, "e")]})]
    for number, death in enumerate(deaths):
        issuer.answer = death
        clock.seconds += 601

        async def is_requested(requests: int = 2 + number) -> bool:
            user = secrets.token_hex(8)
            assert await caller_id(users, bearer_request(signed(keys.ec, "ES256", "e", sub=user))) == user
            return issuer.requests >= requests

        await wait_until(is_requested)
    await issuer.close()
    clock.seconds += 601
    assert await caller_id(users, bearer_request(signed(keys.ec, "ES256", "e", sub="last"))) == "last"
    await assert_rejected(users, bearer_request(signed(keys.ec, "ES256", "x")), Unauthenticated, NOT_PUBLISHED)


async def test_a_hanging_issuer_delays_no_token_with_a_known_key(
    users: JwtBearerCheck, issuer: Stub, clock: Clock, keys: Keys
) -> None:
    publish(issuer, jwk(keys.ec, "e"))
    assert await caller_id(users, bearer_request(signed(keys.ec, "ES256", "e")))
    issuer.answer = gate = Gate(body(b""))
    clock.seconds += 601
    stranger = asyncio.create_task(users.identify(bearer_request(signed(keys.ec, "ES256", "x"))))
    async with deadline():
        await gate.reached.wait()
        for number in range(20):
            assert await caller_id(users, bearer_request(signed(keys.ec, "ES256", "e", sub=f"user {number}")))
        assert not stranger.done()
        # The request times out.
        with pytest.raises(Unauthenticated):
            await stranger
    assert issuer.requests == 2


async def test_old_keys_are_fetched_again(users: JwtBearerCheck, issuer: Stub, clock: Clock, keys: Keys) -> None:
    publish(issuer, jwk(keys.ec, "e"))
    assert await caller_id(users, bearer_request(signed(keys.ec, "ES256", "e")))
    publish(issuer, jwk(keys.other_ec, "e"))
    for number in range(39):
        clock.seconds += 15
        assert await caller_id(users, bearer_request(signed(keys.ec, "ES256", "e", sub=f"user {number}")))
        await asyncio.sleep(0.001)  # lets a fetch that was started continue
    assert issuer.requests == 1
    clock.seconds += 16
    assert await caller_id(users, bearer_request(signed(keys.ec, "ES256", "e", sub="carl")))

    async def is_accepted() -> bool:
        with contextlib.suppress(Unauthenticated):
            return await caller_id(users, bearer_request(signed(keys.other_ec, "ES256", "e", sub="dora"))) == "dora"
        return False

    await wait_until(is_accepted)
    await assert_rejected(users, bearer_request(signed(keys.ec, "ES256", "e", sub="eric")), Unauthenticated)


DEEP = b"[" * 50_000


@pytest.mark.parametrize(
    "answer",
    [
        body(b""),
        body(b"{"),
        body(DEEP),
        body(b"\xff\xfe"),
        document([]),
        document({}),
        document({"keys": {}}),
        document({"keys": []}),
        document(
            {"keys": [1, None, "x", [], {}, {"kty": []}, {"kty": {}}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-256"}]}
        ),
        document({"keys": [{"kty": "RSA", "n": 1, "e": 2}, {"kty": "RSA", "n": "猫", "e": "AQAB"}]}),
        document({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}),
        body(b'{"keys": []}', 404),
        body(b" " * (256 * 1024 + 1)),
        endless,
    ],
    ids=lambda _: "",
)
async def test_with_a_response_without_keys_all_tokens_are_rejected(
    answer: Any, users: JwtBearerCheck, issuer: Stub, keys: Keys
) -> None:
    issuer.answer = answer
    async with deadline():
        for kid in ("e", None):
            problem = await assert_rejected(
                users, bearer_request(signed(keys.ec, "ES256", kid)), IdentityUnavailable, "retry after"
            )
            assert problem.retry_after_seconds == 2
    assert issuer.requests == 1


async def test_the_keys_of_an_error_response_are_ignored(users: JwtBearerCheck, issuer: Stub, keys: Keys) -> None:
    issuer.answer = body(json.dumps({"keys": [jwk(keys.ec, "e")]}).encode(), 500)
    await assert_rejected(users, bearer_request(signed(keys.ec, "ES256", "e")), IdentityUnavailable)


async def test_there_is_only_one_fetch_at_a_time(users: JwtBearerCheck, issuer: Stub, clock: Clock, keys: Keys) -> None:
    issuer.answer = gate = Gate(document({"keys": [jwk(keys.ec, "e")]}))
    token = bearer_request(signed(keys.ec, "ES256", "e"))
    checks = [asyncio.create_task(caller_id(users, token))]
    async with deadline():
        await gate.reached.wait()
        for _ in range(3):
            clock.seconds += 20
            checks.append(asyncio.create_task(caller_id(users, token)))
            await asyncio.sleep(0)
        gate.open()
        assert await asyncio.gather(*checks) == ["anna"] * 4
    assert issuer.requests == 1


async def test_an_issuer_is_tried_again_soon_after_an_outage(
    users: JwtBearerCheck, issuer: Stub, clock: Clock, keys: Keys
) -> None:
    issuer.answer = body(b"", 500)
    token = bearer_request(signed(keys.ec, "ES256", "e"))
    await assert_rejected(users, token, IdentityUnavailable)
    publish(issuer, jwk(keys.ec, "e"))
    await assert_rejected(users, token, IdentityUnavailable)
    clock.seconds += 2
    assert await caller_id(users, token) == "anna"
    assert issuer.requests == 2


async def test_a_fetch_from_a_hanging_issuer_times_out(users: JwtBearerCheck, issuer: Stub, keys: Keys) -> None:
    issuer.answer = Gate(body(b""))
    async with deadline():
        await assert_rejected(users, bearer_request(signed(keys.ec, "ES256", "e")), IdentityUnavailable)


async def test_a_redirect_is_not_followed(users: JwtBearerCheck, issuer: Stub, keys: Keys) -> None:
    async with stub(document({"keys": [jwk(keys.ec, "e")]})) as trap:
        issuer.answer = redirect(trap.url)
        await assert_rejected(users, bearer_request(signed(keys.ec, "ES256", "e")), IdentityUnavailable)
        assert (issuer.requests, trap.requests) == (1, 0)


async def test_keys_for_other_purposes_are_ignored(users: JwtBearerCheck, issuer: Stub, keys: Keys) -> None:
    oct_key = {"kty": "oct", "k": encoded(SHARED.encode())}
    with_private_part = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(keys.rsa))
    publish(
        issuer,
        jwk(keys.rsa, "encryption", use="enc"),
        jwk(keys.rsa, "wrapping", key_ops=["wrapKey"]),
        jwk(keys.rsa, "RS512", alg="RS512"),
        jwk(keys.rsa, "none", alg="none"),
        jwk(keys.rsa, "alg a list", alg=["RS256"]),
        jwk(keys.weak_rsa, "weak"),
        jwk(keys.p384, "P-384"),
        jwk(keys.ec, "EC as RSA", kty="RSA"),
        {**with_private_part, "kid": "private", "key_ops": ["sign", "verify"]},
        {**oct_key, "kid": "shared", "alg": "HS256"},
        {**oct_key, "kid": "shared, it says RS256", "alg": "RS256"},
        jwk(keys.ec, "good"),
        {**jwk(keys.ec, None), "kid": ["a list"]},
    )
    assert await caller_id(users, bearer_request(signed(keys.ec, "ES256", "good"))) == "anna"
    for kid in ("encryption", "wrapping", "RS512", "none", "alg a list", "private"):
        await assert_rejected(users, bearer_request(signed(keys.rsa, "RS256", kid)), Unauthenticated, NOT_PUBLISHED)
    with pytest.warns(UserWarning, match="RSA key is 1024 bits"):
        weak = signed(keys.weak_rsa, "RS256", "weak")
    await assert_rejected(users, bearer_request(weak), Unauthenticated, NOT_PUBLISHED)
    for kid in ("P-384", "EC as RSA"):
        await assert_rejected(users, bearer_request(signed(keys.ec, "ES256", kid)), Unauthenticated, NOT_PUBLISHED)
    for kid in ("shared", "shared, it says RS256"):
        for alg in ("HS256", "RS256", "none"):
            token = hand_made({"alg": alg, "kid": kid}, claims(), SHARED.encode())
            await assert_rejected(users, bearer_request(token), Unauthenticated)
    assert issuer.requests == 1


async def test_a_published_key_is_not_used_as_a_secret(users: JwtBearerCheck, issuer: Stub, keys: Keys) -> None:
    publish(issuer, jwk(keys.rsa, "r"), jwk(keys.ec, "e"))
    assert await caller_id(users, bearer_request(signed(keys.rsa, "RS256", "r"))) == "anna"
    published = json.dumps(jwk(keys.rsa, "r"))
    for text in (public_pem(keys.rsa), private_pem(keys.other_rsa), published, "r", ""):
        for header in ({"alg": "HS256", "kid": "r"}, {"alg": "RS256", "kid": "r"}, {"alg": "none", "kid": "r"}):
            await assert_rejected(
                users, bearer_request(hand_made(header, claims(sub="eve"), text.encode())), Unauthenticated
            )
    await assert_rejected(users, bearer_request(_renamed(keys.ec, "ES256", "r")), Unauthenticated)
    await assert_rejected(users, bearer_request(_renamed(keys.rsa, "RS256", "e")), Unauthenticated)


def _renamed(key: PrivateKey, algorithm: str, key_id: str) -> str:
    """Return a valid token that names the key of the other type."""
    return signed(key, algorithm, key_id, sub="eve")


@pytest.mark.parametrize(
    "header",
    [
        {"kid": 7},
        {"kid": None},
        {"kid": ["e"]},
        {"kid": {"e": 1}},
        {"kid": ""},
        {"kid": "../../../dev/null"},
        {"kid": "e\x00"},
        {"kid": "E"},
        {"kid": " e"},
        {"kid": "e' OR '1'='1"},
        {"kid": "x" * 4000},
        {"kid": "http://127.0.0.1:1/"},
        {"alg": "RS256"},
        {"alg": "RS256", "kid": "e"},
        {"alg": "none", "kid": "e"},
        {"alg": "HS256", "kid": "e"},
        {"alg": "es256", "kid": "e"},
        {"alg": ["ES256"], "kid": "e"},
        {"alg": None, "kid": "e"},
        {"kid": "e", "crit": ["kid"]},
    ],
    ids=str,
)
async def test_a_wrong_key_id_or_algorithm_is_rejected(
    header: dict[str, Any], users: JwtBearerCheck, issuer: Stub, keys: Keys
) -> None:
    """Each token is signed with the published key."""
    publish(issuer, jwk(keys.ec, "e"))
    assert await caller_id(users, bearer_request(_signed_with_header({"kid": "e"}, keys.ec))) == "anna"
    await assert_rejected(users, bearer_request(_signed_with_header(header, keys.ec)), Unauthenticated)
    assert issuer.requests == 1


def _signed_with_header(header: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> str:
    text = hand_made({"alg": "ES256", **header}, claims()).rstrip(".")
    return f"{text}.{encoded(ECAlgorithm(SHA256).sign(text.encode(), key))}"


async def test_a_token_without_a_key_id_is_verified_with_each_key_of_its_algorithm(
    users: JwtBearerCheck, issuer: Stub, keys: Keys
) -> None:
    publish(issuer, jwk(keys.ec, None), jwk(keys.other_ec, None), jwk(keys.rsa, "r"), jwk(keys.weak_rsa, "weak"))
    for number, (key, algorithm) in enumerate([(keys.ec, "ES256"), (keys.other_ec, "ES256"), (keys.rsa, "RS256")]):
        user = f"user {number}"
        assert await caller_id(users, bearer_request(signed(key, algorithm, sub=user))) == user
    token = bearer_request(signed(keys.other_rsa, "RS256"))
    await assert_rejected(users, token, Unauthenticated, "its signature is not of the issuer's key")
    assert issuer.requests == 1


async def test_a_token_without_a_key_id_is_verified_with_at_most_16_keys(
    users: JwtBearerCheck, issuer: Stub, keys: Keys
) -> None:
    publish(issuer, *(jwk(keys.ec, f"{number}") for number in range(16)), jwk(keys.other_ec, "last"))
    assert await caller_id(users, bearer_request(signed(keys.ec, "ES256"))) == "anna"
    assert await caller_id(users, bearer_request(signed(keys.other_ec, "ES256", "last", sub="bert"))) == "bert"
    await assert_rejected(users, bearer_request(signed(keys.other_ec, "ES256")), Unauthenticated, "signature")


async def test_without_a_key_of_the_algorithm_the_error_names_the_algorithm(
    users: JwtBearerCheck, issuer: Stub, keys: Keys
) -> None:
    publish(issuer, jwk(keys.ec, "e"))
    token = bearer_request(signed(keys.rsa, "RS256"))
    await assert_rejected(users, token, Unauthenticated, "does not publish an RS256 key")
    token = bearer_request(signed(keys.ec, "ES256", "x"))
    await assert_rejected(users, token, Unauthenticated, "does not publish an ES256 key with the token's kid")


async def test_a_key_that_was_replaced_under_its_id_is_found_within_a_minute(
    users: JwtBearerCheck, issuer: Stub, clock: Clock, keys: Keys
) -> None:
    publish(issuer, jwk(keys.ec, "e"))
    assert await caller_id(users, bearer_request(signed(keys.ec, "ES256", "e"))) == "anna"
    publish(issuer, jwk(keys.other_ec, "e"))
    clock.seconds += 60
    assert await caller_id(users, bearer_request(signed(keys.other_ec, "ES256", "e", sub="bert"))) == "bert"
    late = bearer_request(signed(keys.ec, "ES256", "e", sub="late"))
    await assert_rejected(users, late, Unauthenticated, "its signature is not of the issuer's key")
    assert issuer.requests == 2


async def test_many_forged_signatures_cause_one_fetch_in_ten_seconds(
    users: JwtBearerCheck, issuer: Stub, clock: Clock, keys: Keys
) -> None:
    publish(issuer, jwk(keys.ec, "e"))
    flood = [bearer_request(signed(keys.other_ec, "ES256", "e", sub=f"user {number}")) for number in range(50)]
    for tens in range(1, 4):
        found = await asyncio.gather(*(users.identify(token) for token in flood), return_exceptions=True)
        assert {isinstance(each, Unauthenticated) for each in found} == {True}
        assert issuer.requests == tens
        clock.seconds += 10


async def test_an_rsa_key_and_an_ec_key_may_share_an_id(users: JwtBearerCheck, issuer: Stub, keys: Keys) -> None:
    publish(issuer, jwk(keys.rsa, "k"), jwk(keys.ec, "k"))
    assert await caller_id(users, bearer_request(signed(keys.rsa, "RS256", "k"))) == "anna"
    assert await caller_id(users, bearer_request(signed(keys.ec, "ES256", "k", sub="bert"))) == "bert"


async def test_malformed_tokens_of_any_length_are_rejected(users: JwtBearerCheck, issuer: Stub) -> None:
    for token in (".", "x" * 10_000, "\udc80.x.y", f"{encoded(b'{}')}.{encoded(b'{}')}."):
        with pytest.raises(Problem):
            await users.identify(bearer_request(token))
    assert issuer.requests == 0


@pytest.mark.parametrize("algorithm", ["HS256", "none", "ES384", "RS512", "PS256", ""])
async def test_a_token_of_another_algorithm_causes_no_fetch(
    algorithm: str, users: JwtBearerCheck, issuer: Stub
) -> None:
    token = hand_made({"alg": algorithm, "kid": "e"}, claims(), SHARED.encode())
    await assert_rejected(users, bearer_request(token), Unauthenticated, "not valid for this app")
    assert issuer.requests == 0
