"""The address of the client: the peer's, or the one that trusted proxies report."""

import logging
import re
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from multidict import MultiMapping

log = logging.getLogger("oss_signer")

Networks = tuple[IPv4Network | IPv6Network, ...]

_MAX_HOPS = 16
_BRACKETS_OR_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")
_SECONDS_BETWEEN_WARNINGS = 60.0
_MAX_LOGGED_CHARACTERS = 64
_FIX = "all its clients share the limits of one address; make the proxy append the client's IP address"
_MAPPED_PREFIX_BITS = 96


def trusted_networks(texts: Iterable[str]) -> Networks:
    """Return the networks of `trusted_proxies`; IPv4-mapped IPv6 networks become IPv4 networks."""
    return tuple(_without_mapping(ip_network(text)) for text in texts)


def client_address(
    peer: str, headers: MultiMapping[str], trusted: Networks, on_unreadable: Callable[[str, str], None] | None = None
) -> str:
    """Return the client's IP address, empty if it has none; IPv4-mapped IPv6 addresses become IPv4 addresses.

    If the peer is a trusted proxy, the client is the last address in X-Forwarded-For that is not a trusted proxy:
    everything to the left of it can be forged. A unix socket, whose peer is empty, counts as a trusted proxy because
    its file mode already decides who may connect. `on_unreadable` is called with a hop that is not an address, and with
    the proxy whose address is returned instead.

    See: https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For
    """
    if peer and not trusted:
        return peer if ":" not in peer else _canonical(peer) or peer
    address = _canonical(peer) or peer
    if address and not _is_trusted(address, trusted):
        return address
    headers_with_hops = [header for header in headers.getall("X-Forwarded-For", ()) if header.strip()]
    hops = [hop.strip() for header in headers_with_hops for hop in header.split(",")]
    for text in reversed(hops[-_MAX_HOPS:]):
        hop = _hop_address(text)
        if hop is None:
            if on_unreadable is not None:
                on_unreadable(text, address)
            return address
        if not _is_trusted(hop, trusted):
            return hop
        address = hop
    return address


def _hop_address(text: str) -> str | None:
    """Return the address of a hop, which may have quotes, brackets and a port.

    See: https://www.rfc-editor.org/rfc/rfc7239#section-6
    """
    text = text.strip('"')
    with_port = _BRACKETS_OR_PORT.fullmatch(text)
    return _canonical(text if with_port is None else with_port[1] or with_port[2])


class UnreadableHops:
    """Counts hops that cannot be read, and logs one of them a minute."""

    def __init__(self, count: Callable[[], None], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._monotonic = monotonic
        self._silent_until = float("-inf")

    def record(self, hop: str, proxy: str) -> None:
        """Count a hop that a proxy reported."""
        self._count()
        now = self._monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _SECONDS_BETWEEN_WARNINGS
            fields = {"hop": hop[:_MAX_LOGGED_CHARACTERS], "address": proxy, "fix": _FIX}
            log.warning("X-Forwarded-For unreadable", extra=fields)


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
