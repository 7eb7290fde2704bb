"""Connections of redis-py that resolve host names without threads.

redis-py leaves lookups to the event loop, which has few threads for them: the name of one Redis whose DNS servers do
not respond would delay the connections to every other Redis.
"""

import asyncio
import ssl
from ipaddress import ip_address
from typing import Any

from redis import exceptions
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

from signer.dns_resolver import DnsResolver
from signer.file_calls import await_with_deadline
from signer.redis_url import RedisUrl


class HostContexts:
    """The TLS contexts of a Redis and its sentinels, one for each host name."""

    def __init__(self, url: RedisUrl) -> None:
        self._url = url
        self._by_name: dict[str, ssl.SSLContext] = {}

    async def get(self, name: str) -> ssl.SSLContext:
        """Return the context of a host name; raise OSError if a certificate file cannot be used."""
        if name not in self._by_name:
            # The certificate files may be on a file system that hangs.
            self._by_name[name] = await await_with_deadline(self, lambda: self._by_name.get(name) or self._new(name))
        return self._by_name[name]

    def _new(self, name: str) -> ssl.SSLContext:
        context = _HostContext(ssl.PROTOCOL_TLS_CLIENT)
        context.host_name = name
        context.check_hostname = self._url.checks_hostname
        context.load_default_certs()
        if "ssl_ca_certs" in self._url.options:
            context.load_verify_locations(self._url.options["ssl_ca_certs"])
        if "ssl_certfile" in self._url.options:
            context.load_cert_chain(self._url.options["ssl_certfile"], self._url.options.get("ssl_keyfile"))
        return context


class _HostContext(ssl.SSLContext):
    """Expects a certificate of one host, whichever of its addresses the connection is to."""

    host_name = ""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, self.host_name, session)


class _ResolvingConnection(Connection):
    """Looks its host up, and connects to the first of its addresses that accepts the connection."""

    def __init__(self, *, resolver: DnsResolver, contexts: HostContexts, **options: Any) -> None:
        self._resolver = resolver
        self._contexts = contexts
        super().__init__(**options)

    async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        """Connect, unless it is connected."""
        if self.is_connected:
            return
        name = self.host
        try:
            async with asyncio.timeout(self.socket_connect_timeout):
                addresses = await self._addresses(name)
            if isinstance(self, SSLConnection):
                self.ssl_context.context = await self._contexts.get(name)
        except TimeoutError:
            raise exceptions.TimeoutError("the host name was not resolved in time") from None
        except OSError as error:
            raise exceptions.ConnectionError(f"cannot connect to {name}: {error}") from None
        try:
            await self._connect_to_first(addresses, check_health, retry_socket_connect)
        finally:
            self.host = name

    async def _connect_to_first(self, addresses: list[str], check_health: bool, retry_socket_connect: bool) -> None:
        for address in addresses:
            self.host = address
            try:
                await super().connect_check_health(check_health, retry_socket_connect)
                return
            except exceptions.ConnectionError:
                if address == addresses[-1]:
                    raise
        raise exceptions.ConnectionError("the host has no address")

    async def _addresses(self, name: str) -> list[str]:
        try:
            return [str(ip_address(name))]
        except ValueError:
            return [result["host"] for result in await self._resolver.resolve(name)]


class TcpConnection(_ResolvingConnection):
    """A connection to a host."""


class TlsConnection(_ResolvingConnection, SSLConnection):
    """A connection to a host, with TLS."""


class MasterConnection(_ResolvingConnection, SentinelManagedConnection):
    """A connection to the master that the sentinels name."""


class TlsMasterConnection(_ResolvingConnection, SentinelManagedSSLConnection):
    """A connection to the master that the sentinels name, with TLS."""
