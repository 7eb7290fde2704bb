"""Polls a store for changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from signer.stores.protocol import CannotRead


class Poller:
    """Compares the current version of a store's content with the version that was loaded last."""

    def __init__(self, fetch_version: Callable[[], Awaitable[str]], interval_seconds: float) -> None:
        """Create a poller; nothing is fetched before `changes` is iterated.

        Args:
            fetch_version: returns the current version, such as a revision or an ETag; may raise `CannotRead`.
            interval_seconds: the time between two fetches.
        """
        self._fetch_version = fetch_version
        self._interval_seconds = interval_seconds
        self.loaded_version: str | None = None
        """The version of the last load, set by the store; None if that load failed."""

    async def changes(self, wake: asyncio.Event | None = None) -> AsyncIterator[None]:
        """Yield whenever the current version differs from the loaded version; runs until it is closed.

        The current version of an unreachable store is None, so an outage and its end are changes too.

        Args:
            wake: when set, the next fetch starts at once.
        """
        wake = wake or asyncio.Event()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_seconds):
                    await wake.wait()
            wake.clear()
            if await self._current_version() != self.loaded_version:
                yield

    async def _current_version(self) -> str | None:
        try:
            return await self._fetch_version()
        except CannotRead:
            return None
