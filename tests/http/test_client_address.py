"""The client's address behind trusted proxies."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from signer.http.client_address import UnreadableHops, client_address, trusted_networks

PROXIES = ("10.0.0.0/8", "127.0.0.1", "2001:db8:ffff::/48")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.9"], "10.0.0.9"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.9"], "10.0.0.9"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", ["::FFFF:10.0.0.2, 2001:DB8::1"], "2001:db8::1"),
        ("2001:db8:ffff::1", ["2001:db8:0::7"], "2001:db8::7"),
        ("", ["198.51.100.1"], "198.51.100.1"),
        ("", [], ""),
        ("10.0.0.1", ["203.0.113.7:51234"], "203.0.113.7"),
        ("10.0.0.1", ["1.1.1.1, [2001:DB8::1]:443, 10.0.0.9:80"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", ['"[2001:db8::1]:443"'], "2001:db8::1"),
        ("10.0.0.1", ['"203.0.113.7:51234"', '"10.0.0.9"'], "203.0.113.7"),
        ("10.0.0.1", ['"2001:db8::1"'], "2001:db8::1"),
        ("10.0.0.1", ["[::ffff:203.0.113.7]:443"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7:x"], "10.0.0.1"),
        ("10.0.0.1", ["[203.0.113.7"], "10.0.0.1"),
        ("fe80::1%eth0", ["198.51.100.1"], "fe80::1%eth0"),
    ],
)
def test_the_last_address_that_is_not_a_trusted_proxy(peer: str, forwarded: list[str], expected: str) -> None:
    headers = CIMultiDict([("X-Forwarded-For", value) for value in forwarded])
    assert client_address(peer, headers, trusted_networks(PROXIES)) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [("203.0.113.7", "203.0.113.7"), ("::ffff:203.0.113.7", "203.0.113.7"), ("2001:db8::1", "2001:db8::1")],
)
def test_without_trusted_proxies_the_peer_is_the_client(peer: str, expected: str) -> None:
    assert client_address(peer, CIMultiDict({"X-Forwarded-For": "198.51.100.1"}), ()) == expected


def test_a_unix_socket_counts_as_a_trusted_proxy() -> None:
    assert client_address("", CIMultiDict({"X-Forwarded-For": "198.51.100.1"}), ()) == "198.51.100.1"


def test_an_ipv4_mapped_network_matches_ipv4_addresses() -> None:
    trusted = trusted_networks(["::ffff:10.0.0.0/104"])
    assert client_address("10.9.9.9", CIMultiDict({"X-Forwarded-For": "198.51.100.1"}), trusted) == "198.51.100.1"


def test_only_the_last_hops_are_read() -> None:
    """A client can send a long header; the addresses that proxies append are at its end."""
    hops = ", ".join(["198.51.100.1", *["10.0.0.2"] * 100])
    assert client_address("10.0.0.1", CIMultiDict({"X-Forwarded-For": hops}), trusted_networks(PROXIES)) == "10.0.0.2"


def test_a_hop_that_is_not_an_address_is_counted_and_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    count = 0

    def add_one() -> None:
        nonlocal count
        count += 1

    hops = UnreadableHops(add_one, monotonic=lambda: now)
    trusted = trusted_networks(PROXIES)

    def request(forwarded: str) -> str:
        return client_address("10.0.0.1", CIMultiDict({"X-Forwarded-For": forwarded}), trusted, hops.record)

    for _ in range(3):
        assert request("198.51.100.1, unknown") == "10.0.0.1"
    for readable in ("198.51.100.1", "", "10.0.0.2"):
        request(readable)
    now += 59
    request("x" * 500)
    assert (count, len(caplog.records)) == (4, 1)
    now += 1
    request("x" * 500)
    assert (count, len(caplog.records)) == (5, 2)
    first, second = (vars(record) for record in caplog.records)
    assert (first["hop"], first["address"], second["hop"]) == ("unknown", "10.0.0.1", "x" * 64)
