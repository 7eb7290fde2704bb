"""Looking again and again whether a store holds something else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from signer.stores.protocol import CannotRead


class Polling:
    """Compares the mark of what a store holds (a revision, an ETag) with that of what was loaded last."""

    def __init__(self, look: Callable[[], Awaitable[str]], every_seconds: float) -> None:
        """`look` gives the mark of now; it may raise `CannotRead`."""
        self._look = look
        self.every_seconds = every_seconds
        self.loaded: str | None = None
        """None: the last load gave nothing."""

    async def changes(self, wake: asyncio.Event | None = None) -> AsyncIterator[None]:
        """Yields when something else is there, when the store goes away and when it comes back.

        Looks every so often, and at once when `wake` is set.
        """
        wake = wake or asyncio.Event()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.every_seconds):
                    await wake.wait()
            wake.clear()
            if await self._mark() != self.loaded:
                yield

    async def _mark(self) -> str | None:
        try:
            return await self._look()
        except CannotRead:
            return None
