"""Fetch and cache the public keys of OSS: one request at a time for each URL, and refreshed in the background."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from cachetools import LRUCache, TTLCache
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from signer.errors import KeyUnavailable
from signer.outbound import UnusableResponse, fetch_document

log = logging.getLogger("oss_signer.callbacks")

_DOCUMENTED_URL = "https://gosspublic.alicdn.com/callback_pub_key_v1.pem"
"""See: https://help.aliyun.com/zh/oss/developer-reference/callback"""
_MAX_KEY_BYTES = 16 * 1024
_TIMEOUT_SECONDS = 1.5
_REFRESH_AFTER_SECONDS = 6 * 3600.0
_MIN_AGE_FOR_REPLACEMENT_SECONDS = 60.0
"""Forged signatures cause at most one request in this time for a key."""
_RETRY_AFTER_SECONDS = 5.0
_MAX_FAILURES_PER_MINUTE = 30
"""With more failures, only known URLs are requested, because a forger can name any number of URLs."""
_MAX_CACHED_KEYS = 64
_MAX_FAILED_URLS = 1024
_MAX_CONCURRENT_FETCHES = 8
_MIN_KEY_BITS, _MAX_KEY_BITS = 512, 4096
"""Alibaba's own callback_pub_key_v1.pem has 512 bits."""


@dataclass(slots=True)
class _CachedKey:
    key: RSAPublicKey
    fetched_at: float


class PublicKeys:
    """Caches public keys by URL. Use it in one event loop, and close it there."""

    def __init__(self, session: aiohttp.ClientSession, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._monotonic = monotonic
        self._cache: LRUCache[str, _CachedKey] = LRUCache(_MAX_CACHED_KEYS)
        self._failed_urls: TTLCache[str, bool] = TTLCache(_MAX_FAILED_URLS, _RETRY_AFTER_SECONDS, timer=monotonic)
        self._recent_failures: TTLCache[object, bool] = TTLCache(_MAX_FAILURES_PER_MINUTE, 60.0, timer=monotonic)
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self._fetch_slots = asyncio.Semaphore(_MAX_CONCURRENT_FETCHES)

    async def get(self, url: str) -> RSAPublicKey:
        """Return the key of a URL. A cached key is used during a refresh, and also when the refresh fails.

        Raises `KeyUnavailable` if there is no cached key and the key cannot be fetched.
        """
        cached = self._cache.get(url)
        if cached is None:
            await self._fetch_once(url)
            cached = self._cache.get(url)
        elif self._monotonic() - cached.fetched_at > _REFRESH_AFTER_SECONDS:
            self._start_fetch(url)
        if cached is None:
            raise KeyUnavailable(
                "the public key of OSS cannot be fetched; retry after the seconds in Retry-After",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        return cached.key

    async def get_replacement(self, url: str) -> RSAPublicKey | None:
        """Return the key that replaced the cached one, or None if there is none or the cached one is recent."""
        cached = self._cache.get(url)
        if cached is None or self._monotonic() - cached.fetched_at <= _MIN_AGE_FOR_REPLACEMENT_SECONDS:
            return None
        await self._fetch_once(url)
        fetched = self._cache.get(url)
        return None if fetched is None or fetched.key == cached.key else fetched.key

    async def _fetch_once(self, url: str) -> None:
        """Wait for the current fetch of a URL, starting one if there is none."""
        self._start_fetch(url)
        fetch = self._fetches.get(url)
        if fetch is not None:
            await asyncio.shield(fetch)

    def _start_fetch(self, url: str) -> None:
        is_known = url in self._cache or url == _DOCUMENTED_URL
        is_allowed = is_known or len(self._recent_failures) + len(self._fetches) < _MAX_FAILURES_PER_MINUTE
        if is_allowed and url not in self._fetches and url not in self._failed_urls:
            self._fetches[url] = asyncio.create_task(self._fetch(url))

    async def _fetch(self, url: str) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS), self._fetch_slots:
                pem = await fetch_document(self._session, url, max_bytes=_MAX_KEY_BYTES)
            self._cache[url] = _CachedKey(_parse_key(pem), self._monotonic())
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, UnsupportedAlgorithm) as error:
            self._failed_urls[url] = self._recent_failures[object()] = True
            reason = str(error) if isinstance(error, UnusableResponse) else type(error).__name__
            log.warning("public key fetch failed", extra={"url": url, "reason": reason})
        finally:
            del self._fetches[url]

    async def close(self) -> None:
        """Cancel the fetches under way."""
        for fetch in list(self._fetches.values()):
            fetch.cancel()
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)


def _parse_key(pem: bytes) -> RSAPublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableResponse("the response is not a public key in PEM format") from None
    if not isinstance(key, RSAPublicKey) or not _MIN_KEY_BITS <= key.key_size <= _MAX_KEY_BITS:
        raise UnusableResponse(f"the key is not an RSA key of {_MIN_KEY_BITS} to {_MAX_KEY_BITS} bits")
    return key
