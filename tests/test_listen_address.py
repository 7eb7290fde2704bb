"""One parser for the addresses that the signer listens on."""

from __future__ import annotations

import pytest

from signer.listen_address import ListenAddress


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:9180", "http://127.0.0.1:9180"),
        ("0.0.0.0:5000", "http://127.0.0.1:5000"),
        ("[::]:5000", "http://[::1]:5000"),
        ("[fe80::1]:80", "http://[fe80::1]:80"),
        ("localhost:0", "http://localhost:0"),
        ("unix:/run/admin.sock", "unix:/run/admin.sock"),
    ],
)
def test_an_address_survives_parsing_and_has_a_url(text: str, url: str) -> None:
    assert str(ListenAddress.parse(text)) == text
    assert ListenAddress.parse(text).url() == url


@pytest.mark.parametrize(
    "text", ["", "5000", ":5000", "::1:5000", "host:65536", "unix:admin.sock", "unix:/a b", "h:1\n"]
)
def test_other_texts_are_rejected_with_a_fix(text: str) -> None:
    with pytest.raises(ValueError, match="not an address; "):
        ListenAddress.parse(text)


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("127.0.0.1:9180", "127.0.0.1:9181"),
        ("[::1]:9180", "[::1]:9181"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("unix:/run/admin.sock", "unix:/run/admin-2.sock"),
    ],
)
def test_each_worker_has_an_address_of_its_own(text: str, second: str) -> None:
    assert str(ListenAddress.parse(text).for_worker(1)) == text
    assert str(ListenAddress.parse(text).for_worker(2)) == second


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("127.8.8.8:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("unix:/run/admin.sock", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("example.com:1", False),
    ],
)
def test_loopback_and_unix_sockets_are_local(text: str, local: bool) -> None:
    assert ListenAddress.parse(text).is_local is local
