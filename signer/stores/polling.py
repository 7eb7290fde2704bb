"""Detects changes of a store by polling."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable

from signer.stores.protocol import CannotRead, Snapshot


async def poll(
    has_changed: Callable[[], Awaitable[bool]], interval_seconds: float, wake: asyncio.Event | None = None
) -> AsyncIterator[None]:
    """Call `has_changed` after each interval, or earlier when `wake` is set, and yield when it returns true."""
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
        """None before the first load, during a load, and after a failed load."""

    async def load(self) -> Snapshot:
        """Return the definitions; see `Store.load`."""
        self._loaded_version = None
        snapshot, self._loaded_version = await self._fetch()
        return snapshot

    def watch(self) -> AsyncIterator[None]:
        """Yield after each poll that finds other content than the last load, or an outage."""
        return poll(self._has_changed, self._poll_seconds)

    @abstractmethod
    async def _fetch(self) -> tuple[Snapshot, str]:
        """Return the content and its version; raises `CannotRead`."""

    async def _fetch_version(self) -> str:
        """Return the current version, such as an ETag. Override it if the version is available without the content."""
        return (await self._fetch())[1]

    async def _has_changed(self) -> bool:
        """Return whether the content differs from the last load, or the store failed after a successful load."""
        try:
            version = await self._fetch_version()
        except CannotRead:
            return self._loaded_version is not None
        return version != self._loaded_version
