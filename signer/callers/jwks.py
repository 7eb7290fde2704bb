"""A published set of keys (JWKS): cached, and fetched again when a token names an unknown key, but not often.

See: https://www.rfc-editor.org/rfc/rfc7517#section-5
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable

import aiohttp

from signer.callers.verification_keys import InvalidKey, VerificationKey, key_from_jwk
from signer.errors import IdentityUnavailable, Unauthenticated
from signer.outbound import read_response

log = logging.getLogger("oss_signer.callers")

_MAX_RESPONSE_BYTES = 256 * 1024
_TIMEOUT_SECONDS = 3.0
_MAX_AGE_SECONDS = 600.0
_MIN_SECONDS_BETWEEN_FETCHES = 10.0
"""Unknown key ids, however many, cause no more fetches than this."""
_MIN_SECONDS_WITHOUT_KEYS = 2.0
"""The same while there are no keys at all, and every token is rejected."""

KeyName = tuple[str | None, str]
"""The id of a key (`kid`) and its algorithm: an RSA key and an EC key may have the same id."""


class Jwks:
    """The keys of one JWKS."""

    def __init__(
        self, outbound: aiohttp.ClientSession, url: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Create an empty set, which is fetched for the first token; `outbound` sends the requests."""
        self._outbound = outbound
        self._url = url
        self._monotonic = monotonic
        self._keys: dict[KeyName, VerificationKey] = {}
        self._fetched_at = float("-inf")
        self._attempted_at = float("-inf")
        self._fetch_task: asyncio.Task[None] | None = None

    async def key(self, key_id: str | None, algorithm: str) -> VerificationKey:
        """Return the key that a token names.

        Raises:
            Unauthenticated: The set has no such key.
            IdentityUnavailable: The set could not be fetched yet.
        """
        name = (key_id, algorithm)
        if name not in self._keys:
            self._start_fetch()
            if self._fetch_task is not None:
                # Shielded, so that a request that is cancelled does not cancel the fetch for the others.
                await asyncio.shield(self._fetch_task)
        elif self._monotonic() - self._fetched_at > _MAX_AGE_SECONDS:
            # The old keys are used meanwhile, and also when the fetch fails.
            self._start_fetch()
        key = self._keys.get(name)
        if key is None and not self._keys:
            raise IdentityUnavailable(
                "the keys that verify tokens cannot be fetched; retry after the seconds in Retry-After",
                retry_after_seconds=_MIN_SECONDS_WITHOUT_KEYS,
            )
        if key is None:
            raise Unauthenticated("the token is signed with a key that its issuer does not publish")
        return key

    def _start_fetch(self) -> None:
        min_seconds = _MIN_SECONDS_BETWEEN_FETCHES if self._keys else _MIN_SECONDS_WITHOUT_KEYS
        if self._fetch_task is None and self._monotonic() - self._attempted_at >= min_seconds:
            self._attempted_at = self._monotonic()
            self._fetch_task = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                # In another thread, since a set of this size can have a thousand keys.
                self._keys = await asyncio.to_thread(_parse_jwks, await self._request())
            self._fetched_at = self._monotonic()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, _UnusableResponse) else type(error).__name__
            log.warning("JWKS fetch failed", extra={"url": self._url, "reason": reason})
        finally:
            self._fetch_task = None

    async def _request(self) -> bytes:
        async with self._outbound.get(self._url, allow_redirects=False) as response:
            if response.status != 200:
                raise _UnusableResponse(f"status {response.status}")
            return await read_response(response, _MAX_RESPONSE_BYTES)


class _UnusableResponse(ValueError):
    """The response has no key that can be used."""


def _parse_jwks(body: bytes) -> dict[KeyName, VerificationKey]:
    """Return the RSA and EC keys for signatures, and ignore all others.

    Raises:
        ValueError: There is no such key.
    """
    document = json.loads(body)
    published = document.get("keys") if isinstance(document, dict) else None
    keys: dict[KeyName, VerificationKey] = {}
    for jwk in published if isinstance(published, list) else ():
        key_id = jwk.get("kid") if isinstance(jwk, dict) else False
        if key_id is None or isinstance(key_id, str):
            with contextlib.suppress(InvalidKey):
                key = key_from_jwk(jwk)
                keys[key_id, key.algorithm] = key
    if not keys:
        raise _UnusableResponse("it has no key for RS256 or ES256")
    return keys
