"""OSS's public keys, by address: kept, refreshed beside the requests, fetched once however many ask."""

from __future__ import annotations

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

from signer.errors import Problem
from signer.outbound import whole_body

log = logging.getLogger("oss_signer.callbacks")

_MAX_KEY_BYTES = 16 * 1024
_TIMEOUT_SECONDS = 1.5
_FRESH_SECONDS = 6 * 3600.0
_DOUBT_AFTER_SECONDS = 60.0
"""A key that a signature does not fit is fetched anew when it is older than this: a forger causes a fetch a minute."""
_FAILURE_SECONDS = 5.0
_MOST_FAILURES_A_MINUTE = 30
"""When so many addresses have failed in a minute, further new ones are not asked: a forger can name any number."""
_DOCUMENTED = "https://gosspublic.alicdn.com/callback_pub_key_v1.pem"
"""Asked all the same (help page `callback`)."""
_MOST_KEYS = 64
_MOST_FAILURES = 1024
_AT_ONCE = 8
_LEAST_BITS, _MOST_BITS = 512, 4096
"""Alibaba's own callback_pub_key_v1.pem has 512 bits."""


class KeyUnavailable(Problem):
    code, status, title = "callback_key_unavailable", 503, "Callback key unavailable"


@dataclass(slots=True)
class _Kept:
    key: RSAPublicKey
    fetched_at: float


class PublicKeys:
    """`outbound` is the session that all calls of the service share. Use it in one event loop."""

    def __init__(self, outbound: aiohttp.ClientSession, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._outbound = outbound
        self._monotonic = monotonic
        self._kept: LRUCache[str, _Kept] = LRUCache(_MOST_KEYS)
        self._failed: TTLCache[str, bool] = TTLCache(_MOST_FAILURES, _FAILURE_SECONDS, timer=monotonic)
        self._failures: TTLCache[object, bool] = TTLCache(_MOST_FAILURES_A_MINUTE, 60.0, timer=monotonic)
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def get(self, address: str) -> RSAPublicKey:
        """Raises `KeyUnavailable`. A key that is held serves on while it is refreshed, and when that fails."""
        kept = self._kept.get(address)
        if kept is None:
            await self._fetched(address)
            kept = self._kept.get(address)
        elif self._monotonic() - kept.fetched_at > _FRESH_SECONDS:
            self._begin(address)
        if kept is None:
            raise KeyUnavailable("OSS's public key cannot be fetched right now", retry_after_seconds=_FAILURE_SECONDS)
        return kept.key

    async def newer(self, address: str) -> RSAPublicKey | None:
        """Another key than the one held, if there is one by now; None too when it was asked for not long ago."""
        held = self._kept.get(address)
        if held is None or self._monotonic() - held.fetched_at <= _DOUBT_AFTER_SECONDS:
            return None
        await self._fetched(address)
        now = self._kept.get(address)
        return None if now is None or now.key == held.key else now.key

    async def _fetched(self, address: str) -> None:
        self._begin(address)
        task = self._fetching.get(address)
        if task is not None:
            await asyncio.shield(task)

    def _begin(self, address: str) -> None:
        known = address in self._kept or address == _DOCUMENTED
        asked = known or len(self._failures) + len(self._fetching) < _MOST_FAILURES_A_MINUTE
        if asked and address not in self._fetching and address not in self._failed:
            self._fetching[address] = asyncio.create_task(self._fetch(address))

    async def _fetch(self, address: str) -> None:
        try:
            async with (
                asyncio.timeout(_TIMEOUT_SECONDS),
                self._places,
                self._outbound.get(address, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise ValueError(f"the status is {response.status}")
                key = _public_key(await whole_body(response, _MAX_KEY_BYTES))
            self._kept[address] = _Kept(key, self._monotonic())
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, UnsupportedAlgorithm) as error:
            self._failed[address] = self._failures[object()] = True
            reason = str(error) if type(error) is ValueError else type(error).__name__
            log.warning("OSS's public key cannot be fetched", extra={"url": address, "reason": reason})
        finally:
            del self._fetching[address]

    async def close(self) -> None:
        for task in list(self._fetching.values()):
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)


def _public_key(pem: bytes) -> RSAPublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("it is no public key in PEM form") from None
    if not isinstance(key, RSAPublicKey) or not _LEAST_BITS <= key.key_size <= _MOST_BITS:
        raise ValueError(f"it is no RSA key of {_LEAST_BITS} to {_MOST_BITS} bits")
    return key
