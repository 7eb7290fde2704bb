"""A client of the Redis at a URL, which finds the current master after a failover."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from redis import exceptions
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from signer.dns_resolver import DnsResolver
from signer.redis_connections import HostContexts, MasterConnection, TcpConnection, TlsConnection, TlsMasterConnection
from signer.redis_errors import NoMasterFound, RedisCommandRejected, RedisUnavailable, is_from_wrong_server, run_command
from signer.redis_url import RedisUrl

T = TypeVar("T")

_SENTINEL_SECONDS = 0.5
"""The time in which a sentinel must respond."""
_CHECK_INTERVAL_SECONDS = 1.0


class RedisClient:
    """Runs commands, each on one of a bounded number of connections.

    A connection that fails or leads to a replica may be the sign of a failover. All connections are then closed, and
    the next command resolves the host name, or queries the sentinels, again.

    A master that was replaced while it works accepts writes, and loses them, until a sentinel demotes it seconds later.
    While commands run, the sentinels are therefore queried once a second.
    """

    def __init__(self, url: RedisUrl, *, max_connections: int, step_seconds: float | None = None) -> None:
        """Create a client that connects at its first command.

        Args:
            url: Where the Redis is.
            max_connections: How many commands run at the same time; others wait, within their deadlines.
            step_seconds: The time limit for opening a connection, and for each response; a command is tried once more
                after it. By default, there is only the deadline of each command.
        """
        self._resolver = DnsResolver()
        self.redis = _new_redis(url, step_seconds, self._resolver)
        """For subscriptions; commands go through `run`."""
        self.failovers = 0
        """How often the sentinels have named another master."""
        self._master: tuple[str, int] | None = None
        self._next_check_at = 0.0
        self._check: asyncio.Task[None] | None = None
        # Not a BlockingConnectionPool: before Python 3.13, a task that is cancelled while it waits for such a pool can
        # leave a free connection unused (https://github.com/python/cpython/issues/112202).
        self._free_connections = asyncio.Semaphore(max_connections)

    async def run(self, command: Callable[[Redis], Awaitable[T]], *, deadline_seconds: float) -> T:
        """Run a command, or raise `RedisUnavailable` if it fails or does not complete within the deadline.

        A command that a demoted master rejects runs once more, on another connection.
        """
        self.look_for_failover()
        try:
            return await run_command(self._run(command), deadline_seconds=deadline_seconds)
        except RedisCommandRejected:
            raise
        except RedisUnavailable:
            await self.drop_connections()
            raise

    async def _run(self, command: Callable[[Redis], Awaitable[T]]) -> T:
        async with self._free_connections:
            try:
                return await command(self.redis)
            except exceptions.ResponseError as error:
                if not is_from_wrong_server(error):
                    raise
            await self.drop_connections()
            return await command(self.redis)

    async def drop_connections(self) -> None:
        """Close idle connections now, and the others when their commands end."""
        pool: Any = self.redis.connection_pool
        with contextlib.suppress(exceptions.RedisError, OSError):
            await pool.update_active_connections_for_reconnect()
            await pool.disconnect(inuse_connections=False)

    def look_for_failover(self) -> None:
        """Start a query of the sentinels, if there are any, at most once a second."""
        now = time.monotonic()
        is_due = now >= self._next_check_at and (self._check is None or self._check.done())
        if is_due and isinstance(self.redis.connection_pool, SentinelConnectionPool):
            self._next_check_at = now + _CHECK_INTERVAL_SECONDS
            self._check = asyncio.create_task(self._query_sentinels(self.redis.connection_pool), name="query sentinels")

    async def _query_sentinels(self, pool: Any) -> None:
        previous = self._master
        try:
            self._master = await pool.get_master_address()
        except (exceptions.RedisError, OSError):
            return  # connections that work stay open
        if previous is not None and self._master != previous:
            self.failovers += 1
            await self.drop_connections()

    async def close(self) -> None:
        """Close all connections."""
        if self._check is not None:
            self._check.cancel()
            await asyncio.gather(self._check, return_exceptions=True)
        with contextlib.suppress(exceptions.RedisError, OSError):
            await self.redis.aclose(close_connection_pool=True)
            if isinstance(self.redis.connection_pool, SentinelConnectionPool):
                await self.redis.connection_pool.sentinel_manager.aclose()
        await self._resolver.close()


def _new_redis(url: RedisUrl, step_seconds: float | None, resolver: DnsResolver) -> Redis:
    login: dict[str, Any] = {"db": url.database, "username": url.username, "password": url.password}
    options: dict[str, Any] = {
        "protocol": 2,  # RESP 3 sends the password in HELLO, which an old server quotes in its error
        "socket_timeout": step_seconds,
        "socket_connect_timeout": step_seconds,
        "retry": Retry(NoBackoff(), 1),  # for a connection that the server closed while it was idle
    }
    if url.socket_path:
        return Redis(unix_socket_path=url.socket_path, **options, **login)
    options |= {"resolver": resolver, "contexts": HostContexts(url)}
    server, master = (TlsConnection, TlsMasterConnection) if url.is_tls else (TcpConnection, MasterConnection)
    if not url.master_name:
        [(host, port)] = url.hosts
        return Redis.from_pool(ConnectionPool(server, host=host, port=port, **options, **login))
    limits = {"socket_timeout": _SENTINEL_SECONDS, "socket_connect_timeout": _SENTINEL_SECONDS}
    own_login = {name: url.options.get(f"sentinel_{name}") for name in ("username", "password")}
    own_options: dict[str, Any] = {**options, **limits, **own_login}
    sentinels: Any = _Sentinels([])  # type: ignore[no-untyped-call]
    sentinels.sentinels = [
        Redis.from_pool(ConnectionPool(server, host=host, port=port, **own_options)) for host, port in url.hosts
    ]
    return cast("Redis", sentinels.master_for(url.master_name, connection_class=master, **options, **login))


class _Sentinels(Sentinel):
    """Queries all sentinels at the same time, so that a dead one costs no more than its time limit."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return host and port of the master according to the newest configuration that a sentinel has.

        See: https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#configuration-epochs
        """
        requests = (asyncio.wait_for(each.sentinel_masters(), _SENTINEL_SECONDS) for each in self.sentinels)
        results = await asyncio.gather(*requests, return_exceptions=True)
        responses = [each for each in results if isinstance(each, dict)]
        states = [each[service_name] for each in responses if service_name in each]
        if states:
            newest = max(states, key=lambda each: (each["config-epoch"], self.check_master_state(each, service_name)))
            if not self.check_master_state(newest, service_name):
                raise NoMasterFound("the master is down, and the sentinels have not chosen another one yet")
            return newest["ip"], newest["port"]
        if responses:
            raise NoMasterFound("the sentinels have no master of this name")
        for error in results:
            if isinstance(error, exceptions.AuthenticationError | exceptions.NoPermissionError):
                raise error
        raise NoMasterFound("no sentinel can be reached")
