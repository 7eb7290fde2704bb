"""Tokens of the team's own login, verified with a key of the definitions."""

from __future__ import annotations

import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signer.callers.jwt_bearer import JwtBearerCheck
from signer.callers.jwt_verification import JwtRules
from signer.callers.verification_keys import InvalidKey, key_from_pem, key_from_secret
from signer.errors import InvalidRequest, Problem, Unauthenticated
from tests.callers.requests import assert_rejected, bearer_request, caller_id, request
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
from tests.harness.waiting import wait_until

REJECTED = "not valid for this app"


def shared(**rules: Any) -> JwtBearerCheck:
    return JwtBearerCheck(key_from_secret(SHARED), JwtRules(**rules))


def by_key(key: PrivateKey, **rules: Any) -> JwtBearerCheck:
    return JwtBearerCheck(key_from_pem(public_pem(key)), JwtRules(**rules))


def hs256(**changes: Any) -> str:
    return signed(SHARED, "HS256", **changes)


def certificate(key: PrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "login")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode], ids=["base64", "base64url"])
async def test_a_secret_may_be_base64_of_the_key(encode: Callable[[bytes], bytes]) -> None:
    key = bytes(range(200, 240))
    check = JwtBearerCheck(key_from_secret(encode(key).decode().rstrip("="), is_base64=True), JwtRules())
    token = jwt.encode(claims(), key, algorithm="HS256")
    assert await caller_id(check, bearer_request(token)) == "anna"
    with pytest.raises(InvalidKey, match="not Base64"):
        key_from_secret("no base64, but long enough for a key!", is_base64=True)


@pytest.mark.parametrize("line_break", ["\\n", "\\r\\n"])
async def test_a_public_key_may_be_one_line_with_escaped_line_breaks(keys: Keys, line_break: str) -> None:
    """As Firebase, Auth0 and environment variables have them."""
    one_line = public_pem(keys.rsa).replace("\n", line_break)
    check = JwtBearerCheck(key_from_pem(one_line), JwtRules())
    assert await caller_id(check, bearer_request(signed(keys.rsa, "RS256"))) == "anna"


async def test_a_token_of_each_algorithm_names_its_caller(keys: Keys) -> None:
    assert await caller_id(shared(), bearer_request(hs256())) == "anna"
    assert await caller_id(by_key(keys.rsa), bearer_request(signed(keys.rsa, "RS256"))) == "anna"
    assert await caller_id(by_key(keys.ec), bearer_request(signed(keys.ec, "ES256"))) == "anna"
    in_certificate = JwtBearerCheck(key_from_pem(certificate(keys.rsa)), JwtRules())
    assert await caller_id(in_certificate, bearer_request(signed(keys.rsa, "RS256"))) == "anna"
    # The cached token is accepted again, and gives no session.
    users = shared()
    found = [await users.identify(bearer_request(hs256(sub="bert"))) for _ in range(3)]
    assert {(each.id, each.session) for each in found} == {("bert", None)}


async def test_the_scheme_is_case_insensitive() -> None:
    users = shared()
    for value in (f"bearer {hs256()}", f"BEARER   {hs256()}"):
        assert users.has_credential(request(("authorization", value)))
        assert await caller_id(users, request(("authorization", value))) == "anna"
    for nothing in ("", "Bearer", f"Basic {hs256()}", hs256(), f"Bearer,{hs256()}"):
        assert not users.has_credential(request(("Authorization", nothing)))
        await assert_rejected(users, request(("Authorization", nothing)), Unauthenticated, "Authorization: Bearer")
    await assert_rejected(users, request(), Unauthenticated, "Authorization: Bearer")


async def test_two_tokens_are_rejected(keys: Keys) -> None:
    """A proxy may have checked the other one."""
    users = shared()
    both = request(("Authorization", f"Bearer {hs256()}"), ("authorization", f"Bearer {hs256(sub='bert')}"))
    assert users.has_credential(both)
    await assert_rejected(users, both, InvalidRequest, "Authorization occurs twice")


async def test_a_token_is_valid_until_its_expiration_plus_leeway() -> None:
    now = int(time.time())
    assert await caller_id(shared(), bearer_request(hs256(exp=now - 20))) == "anna"
    await assert_rejected(shared(), bearer_request(hs256(exp=now - 40)), Unauthenticated, "has expired; get a new one")
    assert await caller_id(shared(leeway_seconds=60.0), bearer_request(hs256(exp=now - 40))) == "anna"
    await assert_rejected(
        shared(leeway_seconds=0.0), bearer_request(hs256(exp=now - 1)), Unauthenticated, "has expired"
    )
    assert await caller_id(shared(), bearer_request(hs256(nbf=now + 20, iat=now + 20))) == "anna"
    for early in ({"nbf": now + 90}, {"iat": now + 90}):
        await assert_rejected(shared(), bearer_request(hs256(**early)), Unauthenticated, "not valid yet")
    await assert_rejected(shared(), bearer_request(hs256(exp=None)), Unauthenticated, "no exp claim")


async def test_a_cached_token_expires() -> None:
    users = shared(leeway_seconds=0.0)
    token = bearer_request(hs256(exp=int(time.time()) + 4))
    assert await caller_id(users, token) == "anna"

    async def problem() -> Unauthenticated | None:
        try:
            await users.identify(token)
        except Unauthenticated as error:
            return error
        return None

    assert "has expired" in (await wait_until(problem)).detail


@pytest.mark.parametrize("exp", ["9" * 400, 10**400, 2**63, 1e308, str(2**40), 4102444800.7])
async def test_a_very_late_expiration_is_accepted(exp: Any) -> None:
    payload = f'{{"sub": "anna", "exp": {json.dumps(exp)}}}'
    assert await caller_id(shared(), bearer_request(_hs256_over(payload))) == "anna"


@pytest.mark.parametrize(
    "exp", ["null", '"soon"', "[]", "{}", "Infinity", "-Infinity", "NaN", "1e999", "9" * 5000, "-1"]
)
async def test_an_invalid_expiration_is_rejected(exp: str) -> None:
    await assert_rejected(shared(), bearer_request(_hs256_over(f'{{"sub": "anna", "exp": {exp}}}')), Unauthenticated)


def _hs256_over(payload: str) -> str:
    return jwt.api_jws.encode(payload.encode(), SHARED.encode(), "HS256")


async def test_the_issuer_must_match_if_defined() -> None:
    ours = shared(issuer="https://login.example.com")
    assert await caller_id(ours, bearer_request(hs256(iss="https://login.example.com"))) == "anna"
    for other in ("https://login.example.com/", "https://evil.example.com", ""):
        await assert_rejected(ours, bearer_request(hs256(iss=other)), Unauthenticated, "iss claim does not match")
    await assert_rejected(ours, bearer_request(_hs256_over(json.dumps(claims(iss=[1])))), Unauthenticated)
    await assert_rejected(ours, bearer_request(hs256()), Unauthenticated, "no iss claim")
    assert await caller_id(shared(), bearer_request(hs256(iss="anybody"))) == "anna"


async def test_a_token_for_another_audience_is_rejected() -> None:
    ours = shared(audience="oss-signer")
    for good in ("oss-signer", ["shop", "oss-signer"]):
        assert await caller_id(ours, bearer_request(hs256(aud=good))) == "anna"
    for other in ("shop", ["shop"], "oss-signer ", ["oss-signer", 1], {"oss-signer": 1}):
        await assert_rejected(ours, bearer_request(hs256(aud=other)), Unauthenticated, "for another audience")
    empty: tuple[Any, ...] = (None, "", [])
    for none in empty:
        await assert_rejected(ours, bearer_request(hs256(aud=none)), Unauthenticated, "no aud claim")
    # Without a defined audience, a token with one is for another service.
    await assert_rejected(shared(), bearer_request(hs256(aud="shop")), Unauthenticated, "name no audience")


async def test_any_claim_may_name_the_caller() -> None:
    users = shared(claim="user_id")
    assert await caller_id(users, bearer_request(hs256(user_id="u-7", sub="anna"))) == "u-7"
    assert await caller_id(users, bearer_request(_hs256_over(json.dumps(claims(user_id="u-7", sub=7, jti=1))))) == "u-7"
    await assert_rejected(users, bearer_request(hs256()), Unauthenticated, "user_id does not name a caller")


@pytest.mark.parametrize("sub", [7, 7.5, True, False, 0, "", [], ["anna"], {}, {"anna": 1}, None])
async def test_a_caller_must_be_a_string(sub: Any) -> None:
    await assert_rejected(
        shared(),
        bearer_request(_hs256_over(json.dumps({**claims(), "sub": sub}))),
        Unauthenticated,
        "sub does not name a caller",
    )


@pytest.mark.parametrize("sub", ["x" * 129, "a\nb", "a\x00b", "a\u202eb", "\u200b", "\ud800", "a\u2028b"])
async def test_a_caller_id_is_short_and_printable(sub: str) -> None:
    await assert_rejected(shared(), bearer_request(hs256(sub=sub)), InvalidRequest, "printable")


async def test_only_the_defined_key_is_accepted(keys: Keys) -> None:
    strangers = [
        (shared(), signed("b" + SHARED[1:], "HS256")),
        (by_key(keys.rsa), signed(keys.other_rsa, "RS256")),
        (by_key(keys.ec), signed(keys.other_ec, "ES256")),
    ]
    for users, token in strangers:
        await assert_rejected(users, bearer_request(token), Unauthenticated, REJECTED)


CONFUSED: dict[str, Callable[[Keys], tuple[JwtBearerCheck, str]]] = {
    "none": lambda keys: (shared(), hand_made({"alg": "none"}, claims())),
    "none for RS256": lambda keys: (by_key(keys.rsa), hand_made({"alg": "none"}, claims())),
    "None": lambda keys: (shared(), hand_made({"alg": "None"}, claims(), SHARED.encode())),
    "no alg": lambda keys: (shared(), hand_made({}, claims(), SHARED.encode())),
    "alg a list": lambda keys: (shared(), hand_made({"alg": ["HS256"]}, claims(), SHARED.encode())),
    "alg an object": lambda keys: (shared(), hand_made({"alg": {"HS256": 1}}, claims(), SHARED.encode())),
    "alg null": lambda keys: (shared(), hand_made({"alg": None}, claims(), SHARED.encode())),
    "HS512": lambda keys: (shared(), signed(SHARED * 2, "HS512")),
    "RS512": lambda keys: (by_key(keys.rsa), signed(keys.rsa, "RS512")),
    "PS256": lambda keys: (by_key(keys.rsa), signed(keys.rsa, "PS256")),
    "ES256 for RS256": lambda keys: (by_key(keys.rsa), signed(keys.ec, "ES256")),
    "RS256 for ES256": lambda keys: (by_key(keys.ec), signed(keys.rsa, "RS256")),
    "RS256 for a secret": lambda keys: (shared(), signed(keys.rsa, "RS256")),
    "the RSA key as a secret": lambda keys: (by_key(keys.rsa), _by_secret(public_pem(keys.rsa))),
    "the RSA key as a secret, stripped": lambda keys: (by_key(keys.rsa), _by_secret(public_pem(keys.rsa).strip())),
    "the RSA key in DER as a secret": lambda keys: (
        by_key(keys.rsa),
        hand_made({"alg": "HS256"}, claims(), _der(keys.rsa)),
    ),
    "the EC key as a secret": lambda keys: (by_key(keys.ec), _by_secret(public_pem(keys.ec))),
    "an ES256 signature of noughts": lambda keys: (by_key(keys.ec), _with_signature({"alg": "ES256"}, bytes(64))),
    "an RS256 signature of noughts": lambda keys: (by_key(keys.rsa), _with_signature({"alg": "RS256"}, bytes(256))),
    "an empty signature": lambda keys: (shared(), _with_signature({"alg": "HS256"}, b"")),
    "its own key in the header": lambda keys: (
        by_key(keys.rsa),
        jwt.encode(claims(), keys.other_rsa, "RS256", headers={"jwk": jwk(keys.other_rsa, "k"), "kid": "k"}),
    ),
    "an address of keys in the header": lambda keys: (
        by_key(keys.rsa),
        jwt.encode(
            claims(), keys.other_rsa, "RS256", headers={"jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"}
        ),
    ),
    "an empty secret by kid": lambda keys: (shared(), hand_made({"alg": "HS256", "kid": "/dev/null"}, claims(), b"")),
    "an unknown critical extension": lambda keys: (
        shared(),
        hand_made({"alg": "HS256", "crit": ["exp"], "exp": 1}, claims(), SHARED.encode()),
    ),
    "an unencoded payload": lambda keys: (
        shared(),
        hand_made({"alg": "HS256", "b64": False, "crit": ["b64"]}, claims(), SHARED.encode()),
    ),
    "a payload that is no object": lambda keys: (
        shared(),
        hand_made({"alg": "HS256"}, ["sub", "anna"], SHARED.encode()),
    ),
    "a header that is no object": lambda keys: (shared(), f"{encoded(b'[]')}.{encoded(b'{}')}."),
    "a deep header": lambda keys: (shared(), f"{encoded(b'[' * 5000)}.{encoded(b'{}')}."),
    "a deep payload": lambda keys: (shared(), _hs256_over("[" * 5000)),
    "two dots": lambda keys: (shared(), ".."),
    "one part": lambda keys: (shared(), "x"),
    "an encrypted one": lambda keys: (shared(), "a.b.c.d.e"),
    "no text": lambda keys: (shared(), "\udcff.\udcff.\udcff"),
    "a character of another script": lambda keys: (shared(), hs256() + "猫"),
}


def _by_secret(secret: str) -> str:
    return hand_made({"alg": "HS256", "typ": "JWT"}, claims(), secret.encode())


def _der(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _with_signature(header: dict[str, Any], signature: bytes) -> str:
    return hand_made(header, claims()) + encoded(signature)


@pytest.mark.parametrize("made", CONFUSED.values(), ids=list(CONFUSED))
async def test_a_token_cannot_choose_how_it_is_verified(
    made: Callable[[Keys], tuple[JwtBearerCheck, str]], keys: Keys
) -> None:
    users, token = made(keys)
    await assert_rejected(users, bearer_request(token), Unauthenticated, REJECTED)


async def test_a_long_token_is_rejected() -> None:
    await assert_rejected(shared(), bearer_request(hs256(more="x" * 8000)), Unauthenticated, "longer than 8192")
    await assert_rejected(shared(), bearer_request("x" * 10_000_000), Unauthenticated, "longer than 8192")
    assert await caller_id(shared(), bearer_request(hs256(more="x" * 4000))) == "anna"


async def test_apps_do_not_share_verified_tokens() -> None:
    one, other = shared(), shared(issuer="https://login.example.com")
    token = bearer_request(hs256())
    assert await caller_id(one, token) == "anna"
    await assert_rejected(other, token, Unauthenticated)


@pytest.mark.parametrize(
    ("make", "text", "why"),
    [
        (key_from_secret, lambda keys: "", "is empty"),
        (key_from_secret, lambda keys: "x" * 31, "shorter than 32 bytes"),
        (key_from_secret, lambda keys: public_pem(keys.rsa), "public_key"),
        (key_from_secret, lambda keys: json.dumps(jwk(keys.rsa, "k")), "looks like a key file"),
        (key_from_pem, lambda keys: private_pem(keys.rsa), "openssl pkey -pubout"),
        (key_from_pem, lambda keys: private_pem(keys.ec), "private key"),
        (key_from_pem, lambda keys: public_pem(keys.weak_rsa), "shorter than 2048 bits"),
        (key_from_pem, lambda keys: public_pem(keys.p384), "P-256"),
        (key_from_pem, lambda keys: "", "not a public key in PEM format"),
        (key_from_pem, lambda keys: "-----BEGIN PUBLIC KEY-----\n猫\n-----END PUBLIC KEY-----", "PEM format"),
        (key_from_pem, lambda keys: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "PEM format"),
        (key_from_pem, lambda keys: SHARED, "PEM format"),
    ],
)
def test_an_unusable_key_is_rejected_when_it_is_read(
    make: Callable[[str], object], text: Callable[[Keys], str], why: str, keys: Keys
) -> None:
    with pytest.raises(InvalidKey, match=why) as raised:
        make(text(keys))
    assert not any(line and line in str(raised.value) for line in text(keys).splitlines()[1:-1])


async def test_every_malformed_token_is_unauthenticated(keys: Keys) -> None:
    """Each prefix of a valid token, and each token with one byte changed."""
    users, token = by_key(keys.ec), signed(keys.ec, "ES256")
    spoilt = [token[:length] for length in range(len(token))]
    spoilt += [f"{token[:at]}{'A' if token[at] != 'A' else 'B'}{token[at + 1 :]}" for at in range(len(token))]
    for each in spoilt:
        with pytest.raises(Problem):
            await users.identify(bearer_request(each))
