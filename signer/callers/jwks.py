"""A published set of keys (JWKS): cached, and fetched again when no key of it verifies a token, but not often.

See: https://www.rfc-editor.org/rfc/rfc7517#section-5
"""

import asyncio
import contextlib
import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import aiohttp

from signer.callers.verification_keys import InvalidKey, VerificationKey, key_from_jwk
from signer.errors import IdentityUnavailable, Unauthenticated
from signer.outbound import UnusableResponse, fetch_document

log = logging.getLogger("oss_signer.callers")

_MAX_RESPONSE_BYTES = 256 * 1024
_TIMEOUT_SECONDS = 3.0
_MAX_AGE_SECONDS = 600.0
_MIN_SECONDS_BETWEEN_FETCHES = 10.0
"""Forged tokens, however many, cause no more fetches than this."""
_MIN_SECONDS_WITHOUT_KEYS = 2.0
"""The same while there are no keys at all, and every token is rejected."""
_MAX_KEYS_TRIED = 16
"""For a token that does not name its key."""

KeyName = tuple[str | None, str]
"""What a token names: the id of a key (`kid`) or None for any, and the algorithm."""


class Jwks:
    """The keys of one JWKS; they are fetched for the first token."""

    def __init__(
        self, outbound: aiohttp.ClientSession, url: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._outbound = outbound
        self._url = url
        self._monotonic = monotonic
        self._keys: Mapping[KeyName, Sequence[VerificationKey]] = {}
        self._fetched_at = float("-inf")
        self._attempted_at = float("-inf")
        self._fetch_task: asyncio.Task[None] | None = None

    async def keys(self, name: KeyName) -> Sequence[VerificationKey]:
        """Return the keys that a token may be signed with.

        Raise `Unauthenticated` if the set has no such key, or `IdentityUnavailable` if it could not be fetched yet.
        """
        if name not in self._keys:
            await self._refresh()
        elif self._monotonic() - self._fetched_at > _MAX_AGE_SECONDS:
            # The old keys are used meanwhile, and also when the fetch fails.
            self._start_fetch()
        if not self._keys:
            detail = "the keys that verify tokens cannot be fetched; retry after the seconds in Retry-After"
            raise IdentityUnavailable(detail, retry_after_seconds=_MIN_SECONDS_WITHOUT_KEYS)
        if name not in self._keys:
            key_id, algorithm = name
            kind = f"{algorithm} key" if key_id is None else f"{algorithm} key with the token's kid"
            raise Unauthenticated(f"the token's issuer does not publish an {kind}")
        return self._keys[name]

    async def replacements(self, name: KeyName, tried: Sequence[VerificationKey]) -> Sequence[VerificationKey]:
        """Return keys that were published instead of those that did not verify a token; there may be none."""
        await self._refresh()
        return [key for key in self._keys.get(name, ()) if key not in tried]

    async def _refresh(self) -> None:
        self._start_fetch()
        if self._fetch_task is not None:
            # Shielded, so that a request that is cancelled does not cancel the fetch for the others.
            await asyncio.shield(self._fetch_task)

    def _start_fetch(self) -> None:
        min_seconds = _MIN_SECONDS_BETWEEN_FETCHES if self._keys else _MIN_SECONDS_WITHOUT_KEYS
        if self._fetch_task is None and self._monotonic() - self._attempted_at >= min_seconds:
            self._attempted_at = self._monotonic()
            self._fetch_task = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                body = await fetch_document(self._outbound, self._url, max_bytes=_MAX_RESPONSE_BYTES)
                # In another thread, since a set of this size can have a thousand keys.
                self._keys = await asyncio.to_thread(_parse_jwks, body)
            self._fetched_at = self._monotonic()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, UnusableResponse) else type(error).__name__
            log.warning("JWKS fetch failed", extra={"url": self._url, "reason": reason})
        finally:
            self._fetch_task = None


def _parse_jwks(body: bytes) -> Mapping[KeyName, Sequence[VerificationKey]]:
    """Return the RSA and EC keys for signatures, and ignore all others; raise `ValueError` if there are none."""
    document = json.loads(body)
    published = document.get("keys") if isinstance(document, dict) else None
    keys: defaultdict[KeyName, list[VerificationKey]] = defaultdict(list)
    for jwk in published if isinstance(published, list) else ():
        key_id = jwk.get("kid") if isinstance(jwk, dict) else False
        if key_id is None or isinstance(key_id, str):
            with contextlib.suppress(InvalidKey):
                key = key_from_jwk(jwk)
                for name in {(key_id, key.algorithm), (None, key.algorithm)}:
                    if len(keys[name]) < _MAX_KEYS_TRIED:
                        keys[name].append(key)
    if not keys:
        raise UnusableResponse("it has no key for RS256 or ES256")
    return dict(keys)
