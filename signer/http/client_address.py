"""The address of who asks, behind proxies that we trust and no others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

from multidict import MultiMapping

Networks = Sequence[IPv4Network | IPv6Network]

_MOST_HOPS = 16


def client_address(peer: str, headers: MultiMapping[str], trusted: Networks) -> str:
    """The peer's address; where it is a trusted proxy, the last one in X-Forwarded-For that is none.

    What stands to the left of that was sent by somebody we do not trust. Who comes through a unix socket has no address
    and is a proxy: the socket's own mode says who may.
    """
    if peer and (not trusted or not _is_in(peer, tuple(trusted))):
        return peer
    hops = [hop.strip() for header in headers.getall("X-Forwarded-For", ()) for hop in header.split(",")]
    for hop in reversed(hops[-_MOST_HOPS:]):
        if not _is_address(hop):
            return peer
        if not _is_in(hop, tuple(trusted)):
            return hop
        peer = hop
    return peer


@lru_cache(maxsize=4096)
def _is_in(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    if not _is_address(address):
        return False
    parsed = ip_address(address)
    return any(parsed in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
