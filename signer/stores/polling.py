"""Detects changes of a store by polling."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable

from signer.stores.protocol import CannotRead, Snapshot


async def poll(
    has_changed: Callable[[], Awaitable[bool]], interval_seconds: float, wake: asyncio.Event | None = None
) -> AsyncIterator[None]:
    """Yield whenever `has_changed` returns true, which is called at an interval, and at once when `wake` is set."""
    wake = wake or asyncio.Event()
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval_seconds):
                await wake.wait()
        wake.clear()
        if await has_changed():
            yield


class PolledStore(ABC):
    """A remote store that compares the current version of its content with the version that was loaded last."""

    def __init__(self, location: str, poll_seconds: float) -> None:
        self.location = location
        self._poll_seconds = poll_seconds
        self._loaded_version: str | None = None
        """None if the last load failed."""

    async def load(self) -> Snapshot:
        """Return the definitions; see `Store.load`."""
        self._loaded_version = None
        snapshot, version = await self._fetch()
        self._loaded_version = version
        return snapshot

    async def watch(self) -> AsyncIterator[None]:
        """Yield when the content changed; see `Store.watch`."""
        async for _ in self._poll():
            yield

    def _poll(self, wake: asyncio.Event | None = None) -> AsyncIterator[None]:
        return poll(self._has_changed, self._poll_seconds, wake)

    @abstractmethod
    async def _fetch(self) -> tuple[Snapshot, str]:
        """Return the content and its version; raises `CannotRead`."""

    async def _fetch_version(self) -> str:
        """Return the current version, such as a revision or an ETag; raises `CannotRead`."""
        return (await self._fetch())[1]

    async def _has_changed(self) -> bool:
        """Compare the versions; that of an unreachable store is None, so an outage and its end are changes too."""
        try:
            version = await self._fetch_version()
        except CannotRead:
            return self._loaded_version is not None
        return version != self._loaded_version
