"""`--config redis://host:6379/0?key=oss-signer`: definitions in one key; also with sentinels, TLS or a Unix socket.

A push publishes on the channel `KEY:changed`. Messages can be lost, so the key is polled every 10 s as well.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import cast
from urllib.parse import quote, urlencode

from redis import exceptions

from signer.circuit_breaker import CircuitBreaker
from signer.redis_client import RedisClient
from signer.redis_errors import RedisPermissionDenied, RedisUnavailable, RedisUnreachable
from signer.redis_url import InvalidRedisUrl, parse_redis_url
from signer.stores import bundle, store_url
from signer.stores.polling import PolledStore, poll
from signer.stores.protocol import CannotRead, CannotWrite, RevisionConflict, Snapshot, StoreIsEmpty

_DEFAULT_KEY = "oss-signer"
_STEP_SECONDS = 5.0
_DEADLINE_SECONDS = 10.0
_PING_SECONDS = 2.0
"""How long the channel may be silent before a PING checks its connection, and how long the response may take."""
_MAX_CONNECTIONS = 4
_OPTIONS = ("key", "poll")

_PUSH_SCRIPT = """
local current = redis.call('GET', KEYS[1])
local revision = current and redis.sha1hex(current) or ''
if ARGV[1] ~= '*' and ARGV[1] ~= revision then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('PUBLISH', KEYS[1] .. ':changed', redis.sha1hex(ARGV[2]))
return 1
"""
_ANY_REVISION = "*"


class RedisStore(PolledStore):
    """A key in Redis."""

    def __init__(self, url: str, _environ: Mapping[str, str]) -> None:
        """Create a store; raise `CannotRead` if the URL is invalid."""
        try:
            parsed = parse_redis_url(url, _OPTIONS)
        except InvalidRedisUrl as error:
            raise CannotRead(f"--config {url.partition('://')[0]}://...: {error}") from None
        self._key = parsed.options.get("key") or _DEFAULT_KEY
        shown = {name: value for name, value in parsed.options.items() if name == "db"}
        location = f"{parsed.location}?{urlencode({'key': self._key, **shown}, safe='/', quote_via=quote)}"
        super().__init__(location, store_url.poll_seconds(parsed.options, location))
        self._is_tls = parsed.is_tls
        self._client = RedisClient(parsed, max_connections=_MAX_CONNECTIONS, step_seconds=_STEP_SECONDS)

    async def watch(self) -> AsyncIterator[None]:
        """Yield when the key changed; see `Store.watch`."""
        wake = asyncio.Event()
        subscription = asyncio.create_task(self._follow_channel(wake), name="subscribe to changes in Redis")
        try:
            async for _ in poll(self._has_changed, self._poll_seconds, wake):
                yield
        finally:
            subscription.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await subscription

    async def save(self, text: str, expected_revision: str | None) -> str:
        """Set the key and publish the change in one step; see `WritableStore.save`."""
        data = text.encode()
        expected = _ANY_REVISION if expected_revision is None else expected_revision
        try:
            was_set = await self._client.run(
                # redis-py types its commands for both its clients, hence the casts.
                lambda redis: cast("Awaitable[int]", redis.eval(_PUSH_SCRIPT, 1, self._key, expected, data)),
                deadline_seconds=_DEADLINE_SECONDS,
            )
        except RedisUnavailable as error:
            raise CannotWrite(self._explain(error)) from None
        if not was_set:
            raise RevisionConflict(self.location)
        return bundle.text_revision(data)

    async def close(self) -> None:
        await self._client.close()

    async def _fetch(self) -> tuple[Snapshot, str]:
        try:
            data = await self._client.run(
                # Not GET: the key may contain a huge value by mistake.
                lambda redis: cast("Awaitable[bytes]", redis.getrange(self._key, 0, bundle.MAX_BYTES)),
                deadline_seconds=_DEADLINE_SECONDS,
            )
        except RedisUnavailable as error:
            raise CannotRead(self._explain(error)) from None
        if not data:
            raise StoreIsEmpty(f"{self.location}: no such key; push the definitions")
        snapshot = await asyncio.to_thread(bundle.parse_snapshot, self.location, data)
        return snapshot, snapshot.revision

    async def _follow_channel(self, wake: asyncio.Event) -> None:
        """Set `wake` for each message, and after each interruption of the subscription."""
        breaker = CircuitBreaker(failure_threshold=1, first_delay_seconds=0.5, max_delay_seconds=2.0, jitter=(0.5, 1.0))
        while True:
            try:
                await self._subscribe(wake, breaker)
            except (exceptions.RedisError, OSError):
                await self._client.drop_connections()
                await asyncio.sleep(breaker.record_failure())

    async def _subscribe(self, wake: asyncio.Event, breaker: CircuitBreaker) -> None:
        """Set `wake` for each message until the connection fails; check a silent connection with a PING."""
        async with self._client.redis.pubsub() as channel:
            await channel.subscribe(f"{self._key}:changed")
            is_ping_sent = False
            failovers = self._client.failovers
            while True:
                if self._client.failovers != failovers:
                    raise exceptions.ConnectionError("another server is the master now")
                self._client.look_for_failover()
                message = await channel.get_message(timeout=_PING_SECONDS)
                if message is None and is_ping_sent:
                    raise exceptions.TimeoutError("no response to PING")
                if message is None:
                    await channel.ping()
                elif message["type"] in ("subscribe", "message"):
                    breaker.record_success()
                    wake.set()
                is_ping_sent = message is None

    def _explain(self, error: RedisUnavailable) -> str:
        fix = ""
        if isinstance(error, RedisPermissionDenied):
            fix = "; allow GETRANGE and SUBSCRIBE, and for pushes EVAL, GET, SET and PUBLISH"
        elif isinstance(error, RedisUnreachable) and self._is_tls:
            fix = "; check that its certificate is trusted"
        return f"{self.location}: {error}{fix}"
