"""The address of the client: the peer's, or the one that trusted proxies report."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from multidict import MultiMapping

Networks = tuple[IPv4Network | IPv6Network, ...]

_MAX_HOPS = 16
_MAPPED_PREFIX_BITS = 96


def trusted_networks(texts: Iterable[str]) -> Networks:
    """Return the networks of `trusted_proxies`; IPv4-mapped IPv6 networks become IPv4 networks."""
    return tuple(_without_mapping(ip_network(text)) for text in texts)


def client_address(peer: str, headers: MultiMapping[str], trusted: Networks) -> str:
    """Return the client's IP address; IPv4-mapped IPv6 addresses become IPv4 addresses.

    If the peer is a trusted proxy, the client is the last address in X-Forwarded-For that is not a trusted proxy:
    everything to the left of it can be forged.

    Args:
        peer: The address of the connection; empty for a unix socket, which counts as a trusted proxy because its file
            mode already decides who may connect.
        headers: The request's headers.
        trusted: The networks of trusted proxies.

    Returns:
        The address; empty if there is none.

    See: https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For
    """
    if peer and not trusted:
        return peer if ":" not in peer else _canonical(peer) or peer
    address = _canonical(peer) or peer
    if address and not _is_trusted(address, trusted):
        return address
    hops = [hop.strip() for header in headers.getall("X-Forwarded-For", ()) for hop in header.split(",")]
    for text in reversed(hops[-_MAX_HOPS:]):
        hop = _canonical(text)
        if hop is None:
            return address
        if not _is_trusted(hop, trusted):
            return hop
        address = hop
    return address


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str | None:
    """Return the address in its usual notation, or None if the text is not an address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(address if mapped is None else mapped)


@lru_cache(maxsize=4096)
def _is_trusted(address: str, networks: Networks) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _without_mapping(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_PREFIX_BITS:
        return network
    return IPv4Network((IPv4Address(mapped), network.prefixlen - _MAPPED_PREFIX_BITS))
