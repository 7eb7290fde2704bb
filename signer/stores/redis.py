"""`--config redis://host:6379/0?key=oss-signer`: one key with the YAML; also `rediss://` and `unix:///path`.

A push publishes on the channel `KEY:changed`. Messages can be lost, so the key is looked at every 10 s as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import cast
from urllib.parse import urlencode

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from signer.circuit_breaker import CircuitBreaker
from signer.redis_errors import RedisPermissionDenied, RedisUnavailable, RedisUnreachable, run_command
from signer.stores import address, bundle
from signer.stores.polling import Polling
from signer.stores.protocol import CannotRead, CannotWrite, ChangedMeanwhile, NothingThere, Snapshot

_KEY = "oss-signer"
_POLL_SECONDS = 10.0
_STEP_SECONDS = 5.0
_DEADLINE_SECONDS = 10.0
_QUIET_SECONDS = 15.0
"""How long a channel may be silent before its connection is tried with a PING."""
_OURS = ("key", "poll")
_THEIRS = ("db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
"""Of redis-py's own URL options, those that are allowed here."""

_DATABASE = re.compile(r"/?[0-9]{0,5}", re.ASCII)

_PUSH = """
local held = redis.call('GET', KEYS[1])
local revision = held and redis.sha1hex(held) or ''
if ARGV[1] ~= '*' and ARGV[1] ~= revision then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('PUBLISH', KEYS[1] .. ':changed', redis.sha1hex(ARGV[2]))
return 1
"""


class RedisStore:
    def __init__(self, url: str, _environ: Mapping[str, str]) -> None:
        """Raises `CannotRead`."""
        parts = address.parts(url)
        self.location = address.location(parts._replace(query=""))
        if parts.fragment or (parts.scheme != "unix" and _DATABASE.fullmatch(parts.path) is None):
            raise CannotRead(
                f"--config {parts.scheme}://...: write {parts.scheme}://user:password@host:6379/0?key={_KEY}, "
                "with / # ? @ in the password as %2F %23 %3F %40"
            )
        options = address.options(parts.query, (*_OURS, *_THEIRS), self.location)
        self._key = options.get("key") or _KEY
        shown = {"key": self._key} | ({"db": options["db"]} if "db" in options else {})
        self.location = address.location(parts._replace(query=urlencode(shown)), shown)
        self._polling = Polling(self._look, address.poll_seconds(options, _POLL_SECONDS, self.location))
        try:
            self._redis = Redis.from_url(
                address.without_options(parts, _OURS),
                protocol=2,  # RESP 3 greets with the password in HELLO, which an old server repeats in its error
                socket_timeout=_STEP_SECONDS,
                socket_connect_timeout=_STEP_SECONDS,
                retry=Retry(NoBackoff(), 1),  # one: for a connection that the server has closed meanwhile
            )
        except ValueError:
            raise CannotRead(f"--config {self.location}: an option of the URL cannot be used") from None

    async def load(self) -> Snapshot:
        self._polling.loaded = None
        snapshot = await self._get()
        self._polling.loaded = snapshot.revision
        return snapshot

    async def watch(self) -> AsyncIterator[None]:
        told = asyncio.Event()
        listening = asyncio.create_task(self._listen(told), name="listen for changes in Redis")
        try:
            async for _ in self._polling.changes(told):
                yield
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    async def save(self, text: str, expected_revision: str | None) -> str:
        data = text.encode()
        expected = "*" if expected_revision is None else expected_revision
        try:
            # redis-py types its commands for both its clients, hence the casts.
            command = cast("Awaitable[int]", self._redis.eval(_PUSH, 1, self._key, expected, data))
            done = await run_command(command, deadline_seconds=_DEADLINE_SECONDS)
        except RedisUnavailable as error:
            raise CannotWrite(self._explain(error)) from None
        if not done:
            raise ChangedMeanwhile(self.location)
        return bundle.revision(data)

    async def close(self) -> None:
        with contextlib.suppress(exceptions.RedisError, OSError):
            await self._redis.aclose()

    async def _look(self) -> str:
        return (await self._get()).revision

    async def _get(self) -> Snapshot:
        try:
            # Not GET: the key may hold a huge value by mistake.
            command = cast("Awaitable[bytes]", self._redis.getrange(self._key, 0, bundle.MAX_BYTES))
            held = await run_command(command, deadline_seconds=_DEADLINE_SECONDS)
        except RedisUnavailable as error:
            raise CannotRead(self._explain(error)) from None
        if not held:
            raise NothingThere(f"{self.location}: this key is not there; push the definitions into it")
        return await asyncio.to_thread(bundle.snapshot, self.location, held)

    async def _listen(self, told: asyncio.Event) -> None:
        """Sets `told` at each message, and after each time of not having listened."""
        breaker = CircuitBreaker(failure_threshold=1, first_delay_seconds=0.5, max_delay_seconds=4.0, jitter=(0.5, 1.0))
        while True:
            try:
                await self._hear(told, breaker)
            except (exceptions.RedisError, OSError):
                await asyncio.sleep(breaker.record_failure())

    async def _hear(self, told: asyncio.Event, breaker: CircuitBreaker) -> None:
        """Raises when the connection fails; a silent one is tried, since it may have gone without a word."""
        async with self._redis.pubsub() as channel:
            await channel.subscribe(f"{self._key}:changed")
            asked = False
            while True:
                message = await channel.get_message(timeout=_QUIET_SECONDS)
                if message is None:
                    if asked:
                        raise exceptions.TimeoutError("no answer to PING")
                    await channel.ping()
                    asked = True
                    continue
                asked = False
                if message["type"] in ("subscribe", "message"):
                    breaker.record_success()
                    told.set()

    def _explain(self, error: RedisUnavailable) -> str:
        fix = ""
        if isinstance(error, RedisPermissionDenied):
            fix = "; allow GETRANGE and SUBSCRIBE, and for pushes EVAL, GET, SET and PUBLISH"
        elif isinstance(error, RedisUnreachable) and self.location.startswith("rediss:"):
            fix = "; check that its certificate is trusted"
        return f"{self.location}: {error}{fix}"
