"""The addresses at which a phone on the same network reaches this machine."""

import socket

_DOCUMENTATION_ADDRESS = ("192.0.2.1", 9)


def reachable_host(listen_host: str) -> str:
    """Return the host for URLs: this machine's address in its network for `0.0.0.0`, else the host itself."""
    if listen_host != "0.0.0.0":  # noqa: S104
        return listen_host
    # Connecting a UDP socket selects the network interface, and sends nothing.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_DOCUMENTATION_ADDRESS)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def with_host(url: str, host: str) -> str:
    """Return the same scheme and port at another host."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{host}:{rest.rpartition(':')[2]}"
