"""The signature of a callback: the documented example, forgeries, and tricks with the URL of the public key."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import MD5
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from signer.delivery.callback_signature import CallbackVerifier, trusted_key_url
from signer.delivery.public_keys import PublicKeys
from signer.errors import Forbidden, KeyUnavailable, Problem, Unauthenticated
from signer.outbound import new_session
from tests.callers.stub import Gate, Stub, body, endless, redirect, stub
from tests.harness.waiting import wait_until

ALIBABA = "https://gosspublic.alicdn.com/callback_pub_key_v1.pem"
ALIBABAS_KEY = b"""-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKs/JBGzwUB2aVht4crBx3oIPBLNsjGs
C0fTXv+nvlmklvkcolvpvXLTjaxUHR3W9LXxQ2EHXAJfCB+6H2YF1k8CAwEAAQ==
-----END PUBLIC KEY-----
"""
"""The content of that URL."""

TARGET = "/v1/apps/a%2Db/callback?x=%41"
SIGNED = b"/v1/apps/a-b/callback?x=%41\nbucket=b&object=o"
BODY = b"bucket=b&object=o"
KEY = rsa.generate_private_key(65537, 2048)


def pem(key: Any) -> bytes:
    written: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return written


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def headers(url: str, signed: bytes = SIGNED, key: rsa.RSAPrivateKey = KEY) -> dict[str, str]:
    return {"Authorization": encoded(key.sign(signed, PKCS1v15(), MD5())), "x-oss-pub-key-url": encoded(url.encode())}


@pytest.fixture
async def outbound() -> AsyncIterator[aiohttp.ClientSession]:
    async with new_session() as session:
        yield session


@pytest.fixture
async def publisher() -> AsyncIterator[Stub]:
    async with stub(body(pem(KEY))) as server:
        yield server


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def verifier(outbound: aiohttp.ClientSession, publisher: Stub, clock: Clock) -> AsyncIterator[CallbackVerifier]:
    keys = PublicKeys(outbound, monotonic=clock)
    yield CallbackVerifier(keys, extra_key_url=f"{publisher.url}/keys/")
    await keys.close()


async def test_documented_example_is_valid(outbound: aiohttp.ClientSession) -> None:
    """See: https://help.aliyun.com/zh/oss/developer-reference/callback"""
    async with stub(body(ALIBABAS_KEY)) as server:
        verifier = CallbackVerifier(PublicKeys(outbound), extra_key_url=f"{server.url}/")
        sent = {
            "Authorization": "kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==",
            "x-oss-pub-key-url": encoded(f"{server.url}/callback_pub_key_v1.pem".encode()),
        }
        await verifier.verify(sent, ["/index.php?id=1&index=2"], b"bucket=yonghu-test")
        with pytest.raises(Forbidden):
            await verifier.verify(sent, ["/index.php?id=1&index=3"], b"bucket=yonghu-test")


async def test_documented_key_url_is_trusted_and_requested_over_https() -> None:
    assert trusted_key_url(ALIBABA) == ALIBABA
    assert trusted_key_url("http" + ALIBABA.removeprefix("https")) == ALIBABA


TRICKS = {
    "user": "https://gosspublic.alicdn.com@evil.example/callback_pub_key_v1.pem",
    "user and password": "https://gosspublic.alicdn.com:x@evil.example/k.pem",
    "user before the host": "https://evil@gosspublic.alicdn.com/k.pem",
    "longer host": "https://gosspublic.alicdn.com.evil.example/k.pem",
    "host in front": "https://evil-gosspublic.alicdn.com/k.pem",
    "subdomain": "https://x.gosspublic.alicdn.com/k.pem",
    "dots of other kinds": "https://gosspublic。alicdn。com/k.pem",
    "another letter": "https://gosspublic.аlicdn.com/k.pem",
    "any character for a dot": "https://gosspublicxalicdn.com/k.pem",
    "trailing dot": "https://gosspublic.alicdn.com./k.pem",
    "port": "https://gosspublic.alicdn.com:443/k.pem",
    "another port": "http://gosspublic.alicdn.com:8080/k.pem",
    "empty port": "http://gosspublic.alicdn.com:/k.pem",
    "upper case": "HTTPS://GOSSPUBLIC.ALICDN.COM/k.pem",
    "upper-case host": "https://gosspublic.alicdn.COM/k.pem",
    "another scheme": "ftp://gosspublic.alicdn.com/k.pem",
    "file": "file:///etc/passwd",
    "no scheme": "gosspublic.alicdn.com/k.pem",
    "no scheme but slashes": "//gosspublic.alicdn.com/k.pem",
    "no path": "https://gosspublic.alicdn.com",
    "empty path": "https://gosspublic.alicdn.com/",
    "no slash": "https://gosspublic.alicdn.comk.pem",
    "backslash": "https://gosspublic.alicdn.com\\@evil.example/k.pem",
    "backslashes for slashes": "https:\\\\gosspublic.alicdn.com\\k.pem",
    "encoded slash": "https://gosspublic.alicdn.com%2f@evil.example/k.pem",
    "encoded path": "https://gosspublic.alicdn.com/%2e%2e/k.pem",
    "dot segments": "https://gosspublic.alicdn.com/../k.pem",
    "dot segments behind": "https://gosspublic.alicdn.com/a/../../k.pem",
    "two slashes": "https://gosspublic.alicdn.com//evil.example/k.pem",
    "query": "https://gosspublic.alicdn.com/k.pem?x=1",
    "fragment": "https://gosspublic.alicdn.com/k.pem#x",
    "fragment before a host": "https://evil.example#gosspublic.alicdn.com/k.pem",
    "query before a host": "https://evil.example?gosspublic.alicdn.com/k.pem",
    "path of another host": "https://evil.example/https://gosspublic.alicdn.com/k.pem",
    "space": "https://gosspublic.alicdn.com/k.pem ",
    "space in front": " https://gosspublic.alicdn.com/k.pem",
    "new line": "https://gosspublic.alicdn.com/k.pem\n",
    "new line in it": "https://gosspublic.alicdn.com/k.pem\r\nHost: evil.example",
    "null": "https://gosspublic.alicdn.com\0.evil.example/k.pem",
    "tab": "ht\ttps://gosspublic.alicdn.com/k.pem",
    "address": "http://169.254.169.254/latest/meta-data",
    "metadata": "http://100.100.100.200/latest/meta-data/ram/security-credentials/",
    "long": "https://gosspublic.alicdn.com/" + "a" * 1000,
    "empty": "",
}


@pytest.mark.parametrize("url", TRICKS.values(), ids=TRICKS)
async def test_untrusted_key_url_is_not_requested(url: str, verifier: CallbackVerifier, publisher: Stub) -> None:
    with pytest.raises(Forbidden if url else Unauthenticated):
        await verifier.verify(headers(url), [TARGET], BODY)
    assert publisher.requests == 0


@given(st.text(alphabet=st.sampled_from("https:/gopublicandm.@#?%\\:~ \n\t0aA。"), max_size=60).map(
    lambda middle: f"https://gosspublic.alicdn.com{middle}"
) | st.text(max_size=80))  # fmt: skip
def test_trusted_key_url_is_on_alibabas_host(url: str) -> None:
    address = trusted_key_url(url)
    if address is not None:
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc, parts.query) == ("https", "gosspublic.alicdn.com", "")
        assert not {".", "..", ""} & set(parts.path[1:].split("/"))


@pytest.mark.parametrize(
    "rest",
    [
        "../evil.pem",
        "",
        "a/../../evil.pem",
        "//evil.example/k.pem",
        "k.pem?x",
        "k.pem#x",
        "%2e%2e/evil.pem",
        "@x/k.pem",
    ],
)
async def test_untrusted_key_url_below_the_extra_url_is_not_requested(
    rest: str, verifier: CallbackVerifier, publisher: Stub
) -> None:
    with pytest.raises(Forbidden):
        await verifier.verify(headers(f"{publisher.url}/keys/{rest}"), [TARGET], BODY)
    with pytest.raises(Forbidden):
        await verifier.verify(headers(f"{publisher.url}/other/k.pem"), [TARGET], BODY)
    assert publisher.requests == 0


async def test_signed_callback_is_valid(verifier: CallbackVerifier, publisher: Stub) -> None:
    sent = headers(f"{publisher.url}/keys/k.pem")
    await verifier.verify(sent, [TARGET], BODY)
    # A proxy can have changed the path; the one that OSS called is tried as well.
    await verifier.verify(sent, ["/callback", TARGET], BODY)
    assert publisher.requests == 1


@pytest.mark.parametrize(
    ("change", "target", "data"),
    [
        pytest.param({}, TARGET, BODY + b"&a=1", id="another body"),
        pytest.param({}, TARGET + "&y=1", BODY, id="another query"),
        pytest.param({}, "/v1/apps/other/callback?x=%41", BODY, id="another path"),
        pytest.param({}, "/v1/apps/a-b/callback?x=A", BODY, id="a decoded query"),
        pytest.param({}, "/\udcff?\udcff", BODY, id="no text"),
        pytest.param({"Authorization": encoded(b"x" * 256)}, TARGET, BODY, id="no signature"),
        pytest.param({"Authorization": encoded(b"x")}, TARGET, BODY, id="short"),
        pytest.param({"Authorization": encoded(b"\xff" * 256)}, TARGET, BODY, id="too large a number"),
        pytest.param(
            {"Authorization": encoded(rsa.generate_private_key(65537, 2048).sign(SIGNED, PKCS1v15(), MD5()))},
            TARGET, BODY, id="another key",
        ),
    ],
)  # fmt: skip
async def test_forgery_is_rejected(
    change: dict[str, str], target: str, data: bytes, verifier: CallbackVerifier, publisher: Stub
) -> None:
    sent = headers(f"{publisher.url}/keys/k.pem") | change
    with pytest.raises(Forbidden):
        await verifier.verify(sent, [target], data)


@pytest.mark.parametrize("name", ["Authorization", "x-oss-pub-key-url"])
@pytest.mark.parametrize("value", ["", "*", "a" * 3000, "aGk", "aGk=\n", "\udcff", "é"])
async def test_headers_that_are_not_base64_are_rejected(
    name: str, value: str, verifier: CallbackVerifier, publisher: Stub
) -> None:
    with pytest.raises(Unauthenticated):
        await verifier.verify(headers(f"{publisher.url}/keys/k.pem") | {name: value}, [TARGET], BODY)
    assert publisher.requests == 0


async def elsewhere(request: web.Request) -> web.StreamResponse:
    """Redirect to the key."""
    return await (body(pem(KEY)) if "elsewhere" in request.path else redirect("/keys/elsewhere.pem"))(request)


async def slow(_request: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


BAD_PUBLISHERS = {
    "redirect": elsewhere,
    "404": body(pem(KEY), 404),
    "500": body(b"", 500),
    "too large": body(pem(KEY) + b"\n" * 20_000),
    "endless": endless,
    "slow": slow,
    "no key": body(b"hello"),
    "elliptic": body(pem(ec.generate_private_key(ec.SECP256R1()))),
    "too long": body(pem(rsa.generate_private_key(65537, 4224))),
}


@pytest.mark.parametrize("answer", BAD_PUBLISHERS.values(), ids=BAD_PUBLISHERS)
async def test_failed_key_fetch_is_a_503_and_not_repeated_at_once(
    answer: Any, verifier: CallbackVerifier, publisher: Stub, clock: Clock
) -> None:
    publisher.answer = answer
    sent = headers(f"{publisher.url}/keys/k.pem")
    for _ in range(3):
        with pytest.raises(KeyUnavailable) as raised:
            await verifier.verify(sent, [TARGET], BODY)
        assert raised.value.status == 503
    assert publisher.requests == 1
    publisher.answer = body(pem(KEY))
    clock.now += 6
    await verifier.verify(sent, [TARGET], BODY)


async def test_many_unknown_key_urls_cause_few_requests(
    verifier: CallbackVerifier, publisher: Stub, clock: Clock
) -> None:
    """A cached key stays usable meanwhile."""
    good = headers(f"{publisher.url}/keys/k.pem")
    await verifier.verify(good, [TARGET], BODY)
    publisher.answer = body(b"", 404)
    checks = [verifier.verify(headers(f"{publisher.url}/keys/{n}.pem"), [TARGET], BODY) for n in range(100)]
    assert {type(each) for each in await asyncio.gather(*checks, return_exceptions=True)} == {KeyUnavailable}
    assert 1 < publisher.requests <= 31
    await verifier.verify(good, [TARGET], BODY)
    clock.now += 61
    fetched = publisher.requests
    with pytest.raises(KeyUnavailable):
        await verifier.verify(headers(f"{publisher.url}/keys/new.pem"), [TARGET], BODY)
    assert publisher.requests == fetched + 1


async def test_extra_key_url_ends_with_a_slash(outbound: aiohttp.ClientSession, publisher: Stub) -> None:
    """`http://host:80` does not include `http://host:8080/`."""
    keys = PublicKeys(outbound)
    shorter = CallbackVerifier(keys, extra_key_url=publisher.url[:-1])
    with pytest.raises(Forbidden):
        await shorter.verify(headers(f"{publisher.url}/k.pem"), [TARGET], BODY)
    await CallbackVerifier(keys, extra_key_url=publisher.url).verify(headers(f"{publisher.url}/k.pem"), [TARGET], BODY)


async def test_concurrent_callbacks_fetch_a_key_once(verifier: CallbackVerifier, publisher: Stub) -> None:
    gate = publisher.answer = Gate(body(pem(KEY)))
    sent = headers(f"{publisher.url}/keys/k.pem")
    waiting = [asyncio.create_task(verifier.verify(sent, [TARGET], BODY)) for _ in range(20)]
    await gate.reached.wait()
    waiting.pop().cancel()
    gate.open()
    await asyncio.gather(*waiting)
    assert publisher.requests == 1


async def test_cached_key_is_used_while_its_refresh_fails(
    verifier: CallbackVerifier, publisher: Stub, clock: Clock
) -> None:
    sent = headers(f"{publisher.url}/keys/k.pem")
    await verifier.verify(sent, [TARGET], BODY)
    publisher.answer = body(b"", 500)
    clock.now += 24 * 3600
    for _ in range(3):
        await verifier.verify(sent, [TARGET], BODY)
    await wait_until(lambda: publisher.requests >= 2)
    await verifier.verify(sent, [TARGET], BODY)


async def test_replaced_key_is_fetched(verifier: CallbackVerifier, publisher: Stub, clock: Clock) -> None:
    """A forger causes at most one fetch a minute."""
    url = f"{publisher.url}/keys/k.pem"
    await verifier.verify(headers(url), [TARGET], BODY)
    another = rsa.generate_private_key(65537, 2048)
    publisher.answer = body(pem(another))
    with pytest.raises(Forbidden):
        await verifier.verify(headers(url, key=another), [TARGET], BODY)
    clock.now += 61
    await verifier.verify(headers(url, key=another), [TARGET], BODY)
    for _ in range(5):
        with pytest.raises(Problem):
            await verifier.verify(headers(url), [TARGET], BODY)
    assert publisher.requests == 2
