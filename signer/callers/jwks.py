"""A published set of keys (JWKS, RFC 7517): kept, refreshed when a token names a key that is not in it, never often."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable

import aiohttp

from signer.callers.verification_keys import InvalidKey, VerificationKey, from_jwk
from signer.errors import IdentityUnavailable, Unauthenticated
from signer.outbound import read_response

log = logging.getLogger("oss_signer.callers")

_MAX_ANSWER_BYTES = 256 * 1024
_TIMEOUT_SECONDS = 3.0
_FRESH_SECONDS = 600.0
_LEAST_SECONDS_BETWEEN = 10.0
"""However many unknown key ids come, the set is fetched no more often than this."""
_LEAST_SECONDS_WITHOUT_KEYS = 2.0
"""The same while there is none at all, and nobody can be let in."""

Name = tuple[str | None, str]
"""A key's id (kid), and the algorithm that it is made for: RSA and EC keys may share an id (RFC 7517, 4.5)."""


class Jwks:
    def __init__(
        self, outbound: aiohttp.ClientSession, url: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._outbound = outbound
        self._url = url
        self._monotonic = monotonic
        self._keys: dict[Name, VerificationKey] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, key_id: str | None, algorithm: str) -> VerificationKey:
        """Raises `Unauthenticated` for a key that is not published, `IdentityUnavailable` while none was fetched."""
        name = (key_id, algorithm)
        if name not in self._keys:
            self._begin()
            if self._fetching is not None:
                # A caller who goes away takes the fetch from nobody else.
                await asyncio.shield(self._fetching)
        elif self._monotonic() - self._fetched_at > _FRESH_SECONDS:
            # The keys held go on serving while newer ones are fetched, and when their publisher is away.
            self._begin()
        key = self._keys.get(name)
        if key is None and not self._keys:
            raise IdentityUnavailable(
                "the keys that tokens are checked with cannot be fetched; try again shortly",
                retry_after_seconds=_LEAST_SECONDS_WITHOUT_KEYS,
            )
        if key is None:
            raise Unauthenticated("the token is signed with a key that its issuer does not publish")
        return key

    def _begin(self) -> None:
        between = _LEAST_SECONDS_BETWEEN if self._keys else _LEAST_SECONDS_WITHOUT_KEYS
        if self._fetching is None and self._monotonic() - self._tried_at >= between:
            self._tried_at = self._monotonic()
            self._fetching = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                # Off the loop: a set of this size may hold a thousand keys.
                self._keys = await asyncio.to_thread(_usable, await self._body())
            self._fetched_at = self._monotonic()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, _NoKeys) else type(error).__name__
            log.warning("the JWKS cannot be fetched", extra={"url": self._url, "reason": reason})
        finally:
            self._fetching = None

    async def _body(self) -> bytes:
        async with self._outbound.get(self._url, allow_redirects=False) as response:
            if response.status != 200:
                raise _NoKeys(f"status {response.status}")
            return await read_response(response, _MAX_ANSWER_BYTES)


class _NoKeys(ValueError):
    """The answer holds no key that can be used."""


def _usable(body: bytes) -> dict[Name, VerificationKey]:
    """The RSA and EC keys for signatures; others are passed over. Raises ValueError when none is left."""
    document = json.loads(body)
    published = document.get("keys") if isinstance(document, dict) else None
    keys: dict[Name, VerificationKey] = {}
    for each in published if isinstance(published, list) else ():
        key_id = each.get("kid") if isinstance(each, dict) else False
        if key_id is None or isinstance(key_id, str):
            with contextlib.suppress(InvalidKey):
                key = from_jwk(each)
                keys[key_id, key.algorithm] = key
    if not keys:
        raise _NoKeys("no key for RS256 or ES256 in it")
    return keys
