"""A published set of keys (JWKS, RFC 7517): kept, refreshed when a token names a key that is not in it, never often."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable

import aiohttp
import jwt

from signer.errors import IdentityUnavailable, Unauthenticated
from signer.outbound import whole_body

log = logging.getLogger("oss_signer.callers")

_MAX_ANSWER_BYTES = 256 * 1024
_TIMEOUT_SECONDS = 3.0
_FRESH_SECONDS = 600.0
_LEAST_SECONDS_BETWEEN = 10.0
"""However many unknown key ids come, the set is fetched no more often than this."""


class Jwks:
    def __init__(
        self, outbound: aiohttp.ClientSession, url: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._outbound = outbound
        self._url = url
        self._monotonic = monotonic
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, key_id: str | None) -> jwt.PyJWK:
        """Raises `Unauthenticated` for a key that is not published, `IdentityUnavailable` while none was fetched."""
        if key_id not in self._keys:
            await self._refresh()
        elif self._monotonic() - self._fetched_at > _FRESH_SECONDS:
            # The keys held go on serving while newer ones are fetched, and when their publisher is away.
            self._begin()
        key = self._keys.get(key_id)
        if key is None and not self._keys:
            raise IdentityUnavailable("the keys that tokens are checked with cannot be fetched", retry_after_seconds=5)
        if key is None:
            raise Unauthenticated("the token is signed with a key that its issuer does not publish")
        return key

    async def _refresh(self) -> None:
        self._begin()
        if self._fetching is not None:
            await asyncio.shield(self._fetching)

    def _begin(self) -> None:
        if self._fetching is None and self._monotonic() - self._tried_at >= _LEAST_SECONDS_BETWEEN:
            self._tried_at = self._monotonic()
            self._fetching = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        try:
            async with (
                asyncio.timeout(_TIMEOUT_SECONDS),
                self._outbound.get(self._url, allow_redirects=False) as response,
            ):
                body = await whole_body(response, _MAX_ANSWER_BYTES) if response.status == 200 else b""
            self._keys = _usable(body) or self._keys
            self._fetched_at = self._monotonic()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, jwt.PyJWTError) as error:
            log.warning("the JWKS cannot be fetched", extra={"url": self._url, "reason": type(error).__name__})
        finally:
            self._fetching = None


def _usable(body: bytes) -> dict[str | None, jwt.PyJWK]:
    """The RSA and EC keys for signatures; what PyJWT cannot read is passed over."""
    document = json.loads(body)
    keys: dict[str | None, jwt.PyJWK] = {}
    for each in document["keys"] if isinstance(document, dict) and isinstance(document.get("keys"), list) else ():
        with contextlib.suppress(jwt.PyJWTError, ValueError, TypeError, KeyError):
            key = jwt.PyJWK.from_dict(each)
            if key.key_type in ("RSA", "EC") and each.get("use", "sig") == "sig":
                keys[key.key_id] = key
    return keys
