"""Resolve host names without threads, so that a name whose DNS servers do not respond delays no other name."""

import socket
from pathlib import Path

import aiohttp
import pycares
from aiohttp.abc import AbstractResolver, ResolveResult

_CONFIGURATION = Path("/etc/resolv.conf")


class DnsResolver(AbstractResolver):
    """Looks names up in /etc/hosts and at the DNS servers of /etc/resolv.conf; a change of either file counts at once.

    libc's getaddrinfo needs a thread for each lookup, and event loops have few: lookups that time out occupy all of
    them. Use and close it in one event loop.

    See: https://aiodns.readthedocs.io, https://c-ares.org/docs/ares_getaddrinfo.html
    """

    def __init__(self) -> None:
        self._resolver: aiohttp.AsyncResolver | None = None
        self._configuration_state: tuple[int, ...] | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host; raise OSError if there are none or no server responds."""
        resolver = await self._current()
        try:
            return await resolver.resolve(host, port, family)
        except OSError:
            if self._resolver is None or self._resolver is resolver:
                raise
        # Another lookup found a new configuration meanwhile, and ended this one.
        return await self._resolver.resolve(host, port, family)

    async def close(self) -> None:
        """Fail the lookups under way."""
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            await resolver.close()

    async def _current(self) -> aiohttp.AsyncResolver:
        """Return a resolver with the current configuration.

        c-ares watches only the directory /etc. It does not see a file behind a symbolic link, nor one that a container
        runtime mounts.
        """
        state = _file_state(_CONFIGURATION)
        resolver = self._resolver
        if resolver is None or state != self._configuration_state:
            previous = resolver
            try:
                # With an argument, aiohttp does not share one resolver among all sessions of the event loop.
                resolver = aiohttp.AsyncResolver(timeout=None)
            except pycares.AresError as error:
                raise OSError(f"no DNS resolver: {error.args[-1]}") from None
            self._resolver, self._configuration_state = resolver, state
            if previous is not None:
                await previous.close()
        return resolver


def _file_state(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
